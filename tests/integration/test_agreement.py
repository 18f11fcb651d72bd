"""Hosts that mean different jobs, as their platform starts them: all end before they train."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import warm
from namespaces import Running
from processes import environment, needs_horovod

from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.synthetic.draw import draw

ROOT = Path(__file__).parent.parent.parent
TRAIN = [sys.executable, "-u", str(ROOT / "entrypoints/container"), "train", "--steps", "20"]
# As the issue has it; on an idle machine it is one.
SOON = 20.0
CHIEF, WORKER = "127.0.0.1 (chief 0)", "127.0.0.2 (worker 0)"
HOW = [
    pytest.param("horovod", marks=needs_horovod),
    "multi_worker_mirrored",
    "parameter_server",
]


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in found]


class Pair:
    """A chief and a worker, each with addresses of its own on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = ("chief", "worker", "ps", "evaluator")
        self.port, *ports = free_ports(1 + len(names))
        self.cluster = {
            name: [f"127.0.0.{i}:{port}"]
            for i, (name, port) in enumerate(zip(names, ports, strict=True), start=1)
        }
        self.running: list[Running] = []

    def start(
        self,
        role: str,
        *flags: str,
        roles: Sequence[str] = ("chief", "worker"),
        under: Sequence[str] = (),
        **env: str,
    ) -> Running:
        spec = {"cluster": {name: self.cluster[name] for name in roles}}
        spec["task"] = {"type": role, "index": 0}
        argv = [*under, *TRAIN, "--port", str(self.port), "--start-timeout", "60"]
        argv += ["--model-dir", str(self.folder / role / "model"), *flags]
        more = {"TF_CONFIG": json.dumps(spec), **env}
        self.running.append(Running(argv, environment(more), warm.Popen))
        return self.running[-1]

    def ends_with(self, *parts: str) -> None:
        """Wait until all have ended with 2, each for the same reason, without having trained."""
        for each in self.running:
            assert each.wait(SOON) == 2, each.text()
            assert " step=" not in each.text()
            (last,) = [line for line in each.lines if line.startswith("trainer: failed: ")]
            for part in parts:
                assert part in last, last
        assert not list(self.folder.glob("*/model/*"))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    for each in made.running:
        each.close()


@pytest.mark.parametrize("how", HOW)
def test_a_setting_of_one_host_alone_ends_all_before_they_train(pair: Pair, how: str):
    pair.start("chief", "--distribution", how)
    pair.start("worker", "--distribution", how, "--batch-size", "100")
    pair.ends_with(
        f"--batch-size: 100 on host {WORKER}, 64 on host {CHIEF}; set the same on all hosts"
    )


@pytest.mark.parametrize("alone", ["chief", "worker"])
def test_a_strategy_without_other_hosts_that_one_host_alone_is_given_ends_all(pair: Pair, alone):
    for role in ("chief", "worker"):
        how = "none" if role == alone else "multi_worker_mirrored"
        pair.start(role, "--distribution", how)
    for each in pair.running:
        assert each.wait(SOON) == 2, each.text()
        assert "--distribution: " in each.lines[-1]
        for part in (CHIEF, WORKER, "none on host ", "multi_worker_mirrored on host "):
            assert part in each.lines[-1], each.text()


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--batch-size", "abc"), "argument --batch-size: expected a whole number, found 'abc'"),
        (("--hp", "width=2"), "--hp width: only a model of your own"),
    ],
)
def test_flags_that_one_host_cannot_read_end_all(pair: Pair, flags, reason):
    pair.start("worker", *flags)
    pair.start("chief")
    for each in pair.running:
        assert each.wait(SOON) == 2, each.text()
        assert reason in each.lines[-1]


@pytest.mark.parametrize(
    ("flag", "mine", "others"),
    [
        ("--learning-rate", "1", "0.006"),
        ("--steps", "40", "20"),
        ("--seed", "7", "0"),
        ("--model", "fast", "cnn"),
        ("--eval-every", "5", "none"),
        ("--cache-mb", "0", "1024"),
        ("--scaling", "linear", "none"),
    ],
)
def test_settings_are_named_with_both_values_and_hosts(pair: Pair, flag, mine, others):
    pair.start("chief", flag, mine)
    pair.start("worker")
    pair.ends_with(f"{flag}: {others} on host {WORKER}, {mine} on host {CHIEF}")


def test_a_precision_that_one_host_is_given_alone_is_named(pair: Pair):
    pair.start("chief", "--precision", "float16")
    pair.start("worker")
    pair.ends_with("--precision: not given (the device's is ", f"float16 on host {CHIEF}")


def test_modules_of_one_name_with_other_sources_are_told_apart(pair: Pair, tmp_path: Path):
    for role, text in (("chief", "WIDTH = 1\n"), ("worker", "WIDTH = 2\n")):
        (tmp_path / role).mkdir()
        (tmp_path / role / "mine.py").write_text("import layers\nraise SystemExit(9)\n")
        (tmp_path / role / "layers.py").write_text(text)
        pair.start(role, "--module", "mine", PYTHONPATH=str(tmp_path / role))
    pair.ends_with(
        "--module: mine (2 source files) on host ", "the first that differs is layers.py"
    )


@pytest.mark.parametrize(
    ("how", "change", "reason"),
    [
        ("multi_worker_mirrored", "name", "2 files, "),
        ("parameter_server", "size", "the first that differs is part-1.tfrecord"),
        pytest.param("horovod", "missing", "1 file, ", marks=needs_horovod),
    ],
)
def test_other_data_is_found_at_the_start(pair: Pair, tmp_path: Path, how, change, reason):
    for role in ("chief", "worker"):
        for split, count in (("train", 2), ("test", 1)):
            folder = tmp_path / role / "data" / split
            folder.mkdir(parents=True)
            for i in range(count):
                (folder / f"part-{i}.tfrecord").write_bytes(b"x" * 100)
    part = tmp_path / "worker/data/train/part-1.tfrecord"
    if change == "name":
        part.rename(part.with_name("part-2.tfrecord"))
    elif change == "size":
        part.write_bytes(b"x" * 99)
    else:
        part.unlink()
    for role in ("chief", "worker"):
        pair.start(role, "--distribution", how, "--train", str(tmp_path / role / "data"))
    pair.ends_with("--train: ", WORKER, CHIEF, reason, "; give all hosts the same data")


def test_other_addresses_in_a_store_are_other_data_without_asking_the_store(pair: Pair):
    for role, folder in (("chief", "a/"), ("worker", "b")):
        pair.start(role, "--train", f"s3://bucket/{folder}", "--test", "s3://bucket/test")
    pair.ends_with(
        f"--train: s3://bucket/b on host {WORKER}, s3://bucket/a on host {CHIEF}; give all hosts "
        "the same data"
    )


@needs_horovod
def test_damage_that_one_host_leaves_out_is_found_when_the_examples_are_counted(
    pair: Pair, tmp_path: Path
):
    for role, splits in (("chief", ("train", "test")), ("worker", ("train",))):
        for split in splits:
            folder = tmp_path / role / "data" / split
            folder.mkdir(parents=True)
            images, labels = draw(256, seed=len(split))
            (folder / "x.tfrecord").write_bytes(frame(encode_examples(images, labels)).tobytes())
    part = tmp_path / "worker/data/train/x.tfrecord"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    more = ["--distribution", "horovod", "--skip-corrupt", "1"]
    for role in ("chief", "worker"):
        data = ["--train", str(part.parent if role == "worker" else tmp_path / "chief/data")]
        pair.start(role, *data, "--test", str(tmp_path / "chief/data/test"), *more)
    for each in pair.running:
        assert each.wait(120) == 2, each.text()
        assert " step=" not in each.text()
        assert re.search("--train: 25[56] examples of 28×28×1 for this process", each.lines[-1]), (
            each.text()
        )


def test_a_host_without_its_data_is_named_by_all(pair: Pair):
    pair.start("worker", "--train", "/no/such/data")
    pair.start("chief")
    pair.ends_with("host 127.0.0.2, worker 0: --train /no/such/data: does not exist")


def test_servers_and_evaluators_are_not_asked_for_what_they_do_not_use(pair: Pair, tmp_path: Path):
    roles = ("chief", "worker", "ps", "evaluator")
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "x.tfrecord").write_bytes(b"no records")
    train, test = (["--" + split, str(tmp_path / split)] for split in ("train", "test"))
    checkpoints = ["--checkpoint-dir", str(tmp_path / "ckpt")]
    pair.start("chief", *train, *test, *checkpoints, "--batch-size", "100", roles=roles)
    pair.start("worker", *train, *checkpoints, "--batch-size", "100", roles=roles)
    pair.start("ps", roles=roles)
    pair.start("evaluator", *test, *checkpoints, roles=roles)
    # All is well but for the evaluator's flag; the data would be looked at later.
    pair.ends_with(
        "host 127.0.0.4, evaluator 0: --batch-size: 64 on host 127.0.0.4 (evaluator 0), 100 on "
        "hosts 127.0.0.1 (chief 0) and 127.0.0.2 (worker 0); set the same on all hosts"
    )


def test_a_hyperparameter_of_sagemaker_is_named_by_its_flag_and_a_secret_is_masked(
    pair: Pair, tmp_path: Path
):
    for i, seed in ((1, "1"), (2, "2")):
        base = tmp_path / f"algo-{i}"
        (base / "model").mkdir(parents=True)
        (base / "output").mkdir()
        given = {"seed": seed, "module": "mine", "api_token": f"swordfish-{seed}"}
        env = {
            "SAGEMAKER_BASE_DIR": str(base),
            "SM_MODEL_DIR": str(base / "model"),
            "SM_HOSTS": '["127.0.0.1", "127.0.0.2"]',
            "SM_CURRENT_HOST": f"127.0.0.{i}",
            "SM_HPS": json.dumps(given),
        }
        argv = [*TRAIN, "--port", str(pair.port)]
        pair.running.append(Running(argv, environment(env), warm.Popen))
    pair.ends_with(
        f"--seed: 2 on host {WORKER}, 1 on host {CHIEF}; "
        f"--hp api_token: *** on host {WORKER}, another *** on host {CHIEF}; set the same"
    )
    for i, each in enumerate(pair.running):
        failure = (tmp_path / f"algo-{i + 1}/output/failure").read_text()
        assert failure.startswith("--seed: 2 on host ")
        assert "swordfish" not in each.text() + failure


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root, to hide a processor"
)
def test_hosts_with_other_processors_train_in_the_precision_that_both_have(
    pair: Pair, tmp_path: Path
):
    tried = subprocess.run(["unshare", "-m", "true"], check=False)
    if tried.returncode:
        pytest.skip("no mount namespaces here")
    for role, features in (("chief", "avx2 avx512_bf16"), ("worker", "avx2")):
        (tmp_path / f"{role}-cpu").write_text(f"processor\t: 0\nflags\t\t: {features}\n")
        hide = f'mount --bind {tmp_path}/{role}-cpu /proc/cpuinfo && exec "$@"'
        pair.start(
            role, "--eval-batch-size", "100", under=["unshare", "-m", "sh", "-c", hide, "sh"]
        )
    for each in pair.running:
        assert each.wait(120) == 0, each.text()
        assert (
            f"trainer: precision float32 on all hosts, as the fastest is bfloat16 on host {CHIEF} "
            f"and float32 on host {WORKER}; --precision sets another"
        ) in each.lines
    assert "precision=float32" in pair.running[0].text()
