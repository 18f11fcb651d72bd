import json
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from trainer.config.errors import UserError
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.data.create import create_dataset
from trainer.data.formats.idx import pack
from trainer.doctor.examination import examine
from trainer.doctor.probes import Probes
from trainer.platforms.base import Environment
from trainer.runtime.cuda import Cause
from trainer.runtime.versions import installed_version
from trainer.storage.errors import StorageError

GIB = 1 << 30
CPUINFO = """\
processor : 0
model name : Old Processor
flags : fpu avx2
processor : 1
model name : Old Processor
flags : fpu avx2
"""
H200 = "0, NVIDIA H200, 143771, 143000, 570.86, 9.0"


def room(total=100 * 10**9, left=50 * 10**9, inodes=1000):
    blocks = (total // 4096, left // 4096, left // 4096)
    return os.statvfs_result((4096, 4096, *blocks, inodes, inodes, inodes, 0, 255))


@pytest.fixture
def machine(tmp_path):
    """A plain machine without GPUs, and what examines it: `machine.look(env, **flags)`."""
    return Machine(tmp_path)


class Machine:
    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("proc/self", "sys/fs/cgroup", "dev/shm", "tmp"):
            (self.root / name).mkdir(parents=True)
        self.write("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: 6291456 kB")
        self.write("proc/cpuinfo", CPUINFO)
        self.disks = {}
        self.answers = {"cores": lambda: 2, "look_up": lambda host: []}
        self.answers |= {"gpu_causes": list, "unlinked": lambda: None}
        self.answers["list_store"] = lambda url, flag, among: {"train/a": 1000, "test/b": 234}
        self.answers["check_store"] = lambda url, flag: None

    def write(self, path, text=""):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def program(self, name, script):
        (self.bin / name).write_text(f"#!/bin/sh\n{textwrap.dedent(script)}")
        (self.bin / name).chmod(0o755)

    def look(self, env=(), **flags):
        flags.setdefault("model_dir", str(self.folder / "runs/model"))
        environment = Environment(env={"PATH": str(self.bin), **dict(env)}, root=self.root)
        answers = {"statvfs": lambda path: self.disks.get(str(path), room())} | self.answers
        return examine(environment, flags, probes=Probes(**answers))


def about(report, name):
    """The findings about something."""
    return [f for f in report.findings if f.about == name or f.about.startswith(f"{name} ")]


def problems(report):
    return [line for line in report.lines() if line.startswith("problem ")]


def digits(folder, *, train=70, test=30, kind="npy"):
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", train), ("test", test)):
        images = np.zeros((count, 28, 28), np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        if kind == "npy":
            np.save(folder / f"x_{split}.npy", images)
            np.save(folder / f"y_{split}.npy", labels)
        else:
            (folder / f"{split}-images-idx3-ubyte").write_bytes(pack(images))
            (folder / f"{split}-labels-idx1-ubyte").write_bytes(pack(labels))
    return folder


def test_a_machine_with_data_is_well(machine):
    data = digits(machine.folder / "data")
    report = machine.look(train=(str(data),))
    assert problems(report) == []
    assert report.ok
    text = "\n".join(report.lines())
    for expected in (
        "ok       platform: local: no variable or file of another platform is there",
        "ok       --batch-size: 64 (recipe cnn)",
        "ok       --precision: float32 (by device)",
        "ok       cluster: one process, chief",
        "ok       gpu: none, training runs on the processor",
        "Old Processor, 2 cores, no bfloat16 instructions; default precision float32",
        "ok       memory: 6.44 GB free of 8.59 GB of the machine",
        "50 GB free",
    ):
        assert expected in text


def test_nothing_is_made_or_left_behind(machine):
    machine.look(train=(str(digits(machine.folder / "data")),))
    assert sorted(p.name for p in machine.folder.iterdir()) == ["bin", "data", "root"]
    assert list((machine.root / "tmp").iterdir()) == []


def test_json_has_the_same_findings(machine):
    report = machine.look(steps=0)
    printed = json.loads(json.dumps(report.as_dict()))
    assert printed["ok"] is report.ok is False
    assert len(printed["findings"]) == len(report.lines())
    for finding, line in zip(printed["findings"], report.lines(), strict=True):
        assert line.startswith(f"{finding['level']:<8} {finding['about']}: {finding['text']}"[:60])
        assert finding["remedy"] is None or line.endswith(finding["remedy"])


def test_nothing_given_is_a_problem_where_a_platform_was_to_bring_it(machine):
    line = "--train: nothing given, synthetic digits would be used: name data with --train DIR"
    report = machine.look()
    assert report.ok
    assert f"note     {line}" in report.lines()
    assert f"problem  {line}" in problems(machine.look({"CLOUD_ML_JOB_ID": "job"}))


@pytest.mark.parametrize("kind", ["npy", "idx", "tfrecord"])
def test_data_is_counted(machine, kind):
    data = digits(machine.folder / "source", kind="idx" if kind == "idx" else "npy")
    if kind == "tfrecord":
        data = machine.folder / "tfrecord"
        create_dataset(source=str(machine.folder / "source"), out=data, shards=3)
    report = machine.look(train=(str(data),))
    for split, count in (("train", 70), ("test", 30)):
        (finding,) = (f for f in about(report, f"--{split}") if "kind" in f.facts)
        facts = finding.facts
        assert (facts["kind"], facts["examples"], facts["exact"]) == (kind, count, True)
        assert facts["files"] == len(facts["paths"]) == (3 if kind == "tfrecord" else 2)
        assert facts["bytes"] == sum(os.stat(p).st_size for p in facts["paths"])  # noqa: PTH116
        assert f"{count} examples" in finding.text


@pytest.mark.parametrize("kind", ["npy", "idx", "tfrecord"])
def test_much_data_is_counted_by_its_headers(machine, kind):
    machine.answers |= {"whole_bytes": 1000, "sample_bytes": 5000}
    data = digits(machine.folder / "source", kind="idx" if kind == "idx" else "npy")
    if kind == "tfrecord":
        data = machine.folder / "tfrecord"
        create_dataset(source=str(machine.folder / "source"), out=data, shards=3)
    report = machine.look(train=(str(data),))
    (finding,) = (f for f in about(report, "--train") if "kind" in f.facts)
    assert finding.facts["examples"] == 70
    assert ("about" in finding.text) == (kind == "tfrecord")


def test_gzipped_idx_is_counted(machine, mnist_dir):
    machine.answers["whole_bytes"] = 1000
    report = machine.look(train=(str(mnist_dir),))
    counts = [f.facts["examples"] for f in report.findings if "examples" in f.facts]
    assert counts == [60_000, 10_000]


def test_missing_damaged_and_mixed_data_are_problems_and_the_rest_is_there(machine):
    data = digits(machine.folder / "data", kind="idx")
    with (data / "train-images-idx3-ubyte").open("ab") as file:
        file.write(b"x")
    for paths, expected in (
        ((str(machine.folder / "none"),), "does not exist; give files"),
        ((str(data),), "the body has 54881 bytes"),
    ):
        report = machine.look(train=paths)
        (line,) = problems(report)
        assert expected in line
        assert about(report, "memory")[0].level == "ok"


def test_test_data_that_is_training_data_is_noted(machine):
    data = digits(machine.folder / "data")
    files = (str(data / "x_train.npy"), str(data / "y_train.npy"))
    report = machine.look(train=files, test=files)
    (note,) = (f for f in report.findings if f.level == "note" and f.about == "--test")
    assert "part of the training data" in note.text


def test_test_data_alone_and_no_test_split_are_problems(machine):
    data = digits(machine.folder / "data")
    (line,) = problems(machine.look(test=(str(data),)))
    assert "--train: not given, but --test is: name both" in line
    (data / "x_test.npy").unlink()
    (data / "y_test.npy").unlink()
    (line,) = problems(machine.look(train=(str(data),)))
    assert "--test: not given" in line


def test_object_stores_are_reported_as_addresses(machine):
    flags = {"train": ("s3://bucket/train",), "model_dir": "gs://bucket/model"}
    report = machine.look(**flags)
    (finding,) = (f for f in about(report, "--train") if "kind" in f.facts)
    held = {"files": 2, "bytes": 1234}
    assert finding.facts == {"kind": "address", "paths": ["s3://bucket/train"], **held}
    assert finding.text == "in an object store, 2 objects, 1.23 kB"
    assert "--model-dir gs://bucket/model: in an object store" in "\n".join(report.lines())
    missing = [p for p in ("s3fs", "gcsfs") if installed_version(p) is None]
    assert [f"problem  {p}: is not installed" in line for p, line in zip(
        missing, problems(report), strict=True)] == [True] * len(missing)  # fmt: skip


def test_a_bucket_that_is_not_there_is_a_problem_and_one_that_does_not_answer_a_note(machine):
    def refuse(url, flag, among=None):
        raise UserError(subject=f"{flag} {url}", problem="there is no such bucket")

    def fail(url, flag, among=None):
        problem = "failed 4 times, at last with 503"
        raise StorageError(f"{flag} {url}: {problem}", problem=problem)

    flags = {"train": ("s3://b/x",), "model_dir": "s3://b/m"}
    machine.answers |= {"list_store": refuse, "check_store": refuse}
    texts = [line.split(": ", 1)[1] for line in problems(machine.look(**flags)) if "s3://" in line]
    assert all(text.startswith("there is no such bucket") for text in texts)
    assert len(texts) == 2
    machine.answers |= {"list_store": fail, "check_store": fail}
    report = machine.look(**flags)
    assert not [line for line in problems(report) if "s3://" in line]
    (finding,) = (f for f in about(report, "--model-dir") if "kind" in f.facts)
    assert finding.level == "note"
    assert finding.text.endswith("could not be looked at: failed 4 times, at last with 503")


def test_data_of_a_module_of_ones_own_is_listed_not_read(machine):
    (machine.folder / "own").mkdir()
    (machine.folder / "own" / "a.bin").write_bytes(b"123")
    report = machine.look(train=(str(machine.folder / "own"),), module="my.model")
    (finding,) = (f for f in about(report, "--train") if "kind" in f.facts)
    assert (finding.facts["files"], finding.facts["bytes"]) == (1, 3)
    assert report.ok


def test_a_store_that_hangs_is_a_problem_in_time(machine):
    over = threading.Event()
    machine.answers |= {"list_store": lambda *_: over.wait() and {}, "data_seconds": 0.2}
    report = machine.look(train=("s3://bucket/x",))
    over.set()
    assert "problem  data: no answer within 0.2 seconds" in problems(report)[0]
    assert about(report, "clock")


def test_a_broken_tf_config_is_one_problem_and_the_rest_is_there(machine):
    data = digits(machine.folder / "data")
    report = machine.look({"TF_CONFIG": '{"cluster'}, train=(str(data),), batch_size=8)
    (line,) = problems(report)
    assert line.startswith("problem  TF_CONFIG: ")
    text = "\n".join(report.lines())
    assert "platform: ai-platform: TF_CONFIG is set" in text
    assert "cluster: not known" in text
    assert "--batch-size: 8 (--batch-size)" in text
    assert "70 examples" in text


SAGEMAKER = {"SM_MODEL_DIR": "/opt/ml/model", "SM_HOSTS": '["algo-1"]', "SM_CURRENT_HOST": "algo-1"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"SM_CURRENT_HOST": "algo-9"}, "SM_CURRENT_HOST=algo-9"),
        ({"SM_HOSTS": "algo-1"}, "SM_HOSTS"),
        ({"SM_HPS": '{"epochz": "1"}'}, "hyperparameter epochz: is not known"),
        ({"SM_HPS": '{"steps": "many"}'}, "hyperparameter steps"),
        ({"SM_HPS": "{"}, "SM_HPS"),
    ],
)
def test_each_mistake_on_sagemaker_is_one_problem_and_the_rest_is_there(machine, more, expected):
    data = digits(machine.folder / "data")
    env = SAGEMAKER | {"SM_CHANNEL_TRAIN": str(data)} | more
    report = machine.look(env, output_dir=str(machine.folder))
    (line,) = problems(report)
    assert expected in line
    assert about(report, "memory")
    if "SM_HPS" not in expected:
        assert "70 examples" in "\n".join(report.lines())


def test_several_wrong_flags_are_reported_one_by_one(machine):
    report = machine.look(steps=0, batch_size=-1, dropout=0.25)
    lines = problems(report)
    assert [any(name in line for line in lines) for name in ("--steps 0", "--batch-size -1")]
    assert len(lines) == 2
    assert "--dropout: 0.25 (--dropout)" in "\n".join(report.lines())


def test_an_empty_channel_is_not_taken_for_no_data(machine):
    (machine.folder / "empty").mkdir()
    report = machine.look(SAGEMAKER | {"SM_CHANNEL_TRAIN": str(machine.folder / "empty")})
    assert "the channel is empty" in problems(report)[0]
    assert "synthetic" not in "\n".join(report.lines())


@pytest.mark.parametrize(
    ("files", "available", "limit"),
    [
        ({"memory.max": 4 * GIB, "memory.current": 3 * GIB}, GIB, 4 * GIB),
        ({"memory.max": "max", "memory.current": GIB}, 6 * GIB, None),
        (
            {
                "memory.max": 4 * GIB,
                "memory.current": 3 * GIB,
                "memory.stat": f"anon 5\ninactive_file {GIB}\n",
            },
            2 * GIB,
            4 * GIB,
        ),
        (
            {
                "memory/memory.limit_in_bytes": 4 * GIB,
                "memory/memory.usage_in_bytes": 2 * GIB,
                "memory/memory.stat": f"total_inactive_file {GIB}\n",
            },
            3 * GIB,
            4 * GIB,
        ),
        ({"memory/memory.limit_in_bytes": 9223372036854771712}, 6 * GIB, None),
        ({"memory.max": 100 * GIB, "memory.current": GIB}, 6 * GIB, 100 * GIB),
    ],
)
def test_memory_is_that_of_the_container(machine, files, available, limit):
    for name, value in files.items():
        machine.write(f"sys/fs/cgroup/{name}", str(value))
    (finding,) = about(machine.look(), "memory")
    assert (finding.facts["available"], finding.facts["limit"]) == (available, limit)
    assert finding.level == "ok"


@pytest.mark.parametrize("version", [1, 2])
def test_the_limit_of_a_group_above_counts(machine, version):
    base = "sys/fs/cgroup/memory" if version == 1 else "sys/fs/cgroup"
    name = "memory.limit_in_bytes" if version == 1 else "memory.max"
    line = "4:cpu,memory:/a/b" if version == 1 else "0::/a/b"
    machine.write("proc/self/cgroup", f"9:pids:/x\n{line}\n")
    machine.write(f"{base}/a/{name}", str(2 * GIB))
    (machine.root / base / "a/b").mkdir()
    (finding,) = about(machine.look(), "memory")
    assert finding.facts["limit"] == 2 * GIB


def test_too_little_memory_is_a_problem(machine):
    machine.write("sys/fs/cgroup/memory.max", str(GIB // 2))
    (finding,) = about(machine.look(), "memory")
    assert finding.level == "problem"
    assert "--memory" in finding.remedy


@pytest.mark.parametrize(
    "files",
    [
        {"cpu.max": "150000 100000"},
        {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"},
    ],
)
def test_a_quota_of_processor_time_is_noted(machine, files):
    for name, value in files.items():
        machine.write(f"sys/fs/cgroup/{name}", value)
    machine.answers["cores"] = lambda: 8
    (finding,) = about(machine.look(), "cpu")
    assert finding.facts["quota"] == 1.5
    assert finding.level == "note"
    assert "--threads 2" in finding.remedy
    (finding,) = about(machine.look(threads=2), "cpu")
    assert finding.level == "ok"


@pytest.mark.parametrize("quota", ["max 100000", "-1"])
def test_no_quota_is_none(machine, quota):
    machine.write("sys/fs/cgroup/cpu.max", quota)
    machine.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1")
    machine.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    assert about(machine.look(), "cpu")[0].facts["quota"] is None


@pytest.mark.parametrize("flag", ["amx_bf16", "avx512_bf16"])
def test_a_processor_with_bfloat16_computes_in_it(machine, flag):
    machine.write("proc/cpuinfo", CPUINFO.replace("avx2", f"avx2 {flag}"))
    report = machine.look()
    assert "ok       --precision: bfloat16 (by device)" in report.lines()
    assert flag in about(report, "cpu")[0].facts["flags"]


def test_gpus_are_reported_as_nvidia_smi_does(machine):
    machine.program("nvidia-smi", f"echo '{H200}'\necho '{H200.replace('0,', '1,', 1)}'")
    machine.write("dev/nvidia0")
    machine.write("usr/lib64/libcuda.so.1")
    report = machine.look()
    first, second = about(report, "gpu 0") + about(report, "gpu 1")
    assert "NVIDIA H200, 143000 of 143771 MiB free, driver 570.86" in first.text
    assert second.facts["compute_cap"] == "9.0"
    assert "ok       --precision: bfloat16 (by device)" in report.lines()


@pytest.mark.parametrize(
    ("capability", "precision"), [("8.0", "bfloat16"), ("7.5", "float16"), ("6.1", "float32")]
)
def test_the_precision_is_that_of_the_gpu(machine, capability, precision):
    machine.program("nvidia-smi", f"echo '{H200.replace('9.0', capability)}'")
    assert f"ok       --precision: {precision} (by device)" in machine.look().lines()


def test_an_old_driver_is_asked_for_less(machine):
    machine.program(
        "nvidia-smi",
        """\
        case "$1" in
          *compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2;;
          *) echo '0, Tesla V100, 16160, 16000, 450.80';;
        esac
        """,
    )
    (finding,) = about(machine.look(), "gpu 0")
    assert finding.text == "Tesla V100, 16000 of 16160 MiB free, driver 450.80"


def test_a_driver_that_fails_or_hangs_is_a_problem(machine):
    machine.program("nvidia-smi", "echo 'Driver/library version mismatch'; exit 18")
    assert "nvidia-smi failed: Driver/library version mismatch" in "\n".join(
        problems(machine.look())
    )
    machine.program("nvidia-smi", "exec /bin/sleep 20")
    machine.answers["driver_seconds"] = 0.2
    assert "no answer within 0.2 seconds" in "\n".join(problems(machine.look()))


def test_the_ways_to_have_no_gpu(machine):
    no_gpu = machine.look({"SM_NUM_GPUS": "4"})
    assert "SM_NUM_GPUS=4, but none is here" in about(no_gpu, "gpu")[0].text
    image = {"NVIDIA_VISIBLE_DEVICES": "all", "TRAINER_BUILT_FOR": "gpu"}
    made_for = machine.look(image)
    assert about(made_for, "gpu")[0].level == "note"
    assert "--gpus all" in about(made_for, "gpu")[0].remedy
    (asked,) = about(machine.look(device="gpu"), "gpu")
    assert (asked.level, asked.text) == ("problem", "none, but --device gpu asks for one")
    assert about(machine.look(image, device="cpu"), "gpu")[0].level == "ok"


@pytest.mark.parametrize("sign", ["file", "variable", "nvidia-smi"])
def test_what_keeps_tensorflow_from_a_gpu_is_a_problem_each(machine, sign):
    env = {"NVIDIA_VISIBLE_DEVICES": "0"} if sign == "variable" else {}
    if sign == "file":
        machine.write("dev/nvidia3")
    if sign == "nvidia-smi":
        machine.program("nvidia-smi", f"echo '{H200}'")
    causes = [Cause(text=f"library {name} is not found", remedy="install it") for name in "xy"]
    machine.answers["gpu_causes"] = lambda: causes
    found = [f for f in about(machine.look(env), "gpu") if f.about == "gpu"]
    assert [(f.level, f.text, f.remedy) for f in found] == [
        ("problem", f"library {name} is not found", "install it; or --device cpu") for name in "xy"
    ]
    unused = [f for f in about(machine.look(env, device="cpu"), "gpu") if f.about == "gpu"]
    assert [(f.level, f.text) for f in unused] == [("ok", "not used, as --device cpu says")]
    *_, hidden = about(machine.look({**env, "CUDA_VISIBLE_DEVICES": "-1"}), "gpu")
    assert (hidden.level, "hides it" in hidden.text) == ("note", True)


def test_a_gpu_that_can_be_used_is_reported_and_what_only_the_trainer_finds(machine):
    machine.write("dev/nvidia3")
    (finding,) = about(machine.look(), "gpu")
    assert (finding.level, finding.facts["device"]) == ("ok", True)
    assert finding.text.startswith("/dev/nvidia3; the driver and all libraries load")
    machine.answers["unlinked"] = lambda: pathlib.Path("/env/nvidia/cusolver/lib")
    note = about(machine.look(), "gpu")[-1]
    assert note.level == "note"
    assert "ln -s /env/nvidia/cusolver/lib/libcusolver.so.11 /env/nvidia/cublas/lib" in note.remedy


def test_a_gpu_that_is_not_to_be_used_does_not_choose_the_precision(machine):
    machine.program("nvidia-smi", f"echo '{H200}'")
    assert "ok       --precision: float32 (by device)" in machine.look(device="cpu").lines()


@pytest.mark.parametrize("gpus", [1, 2])
def test_a_small_dev_shm_is_a_problem_of_several_gpus(machine, gpus):
    rows = "\n".join(f"echo '{H200.replace('0,', f'{i},', 1)}'" for i in range(gpus))
    machine.program("nvidia-smi", rows)
    machine.disks[str(machine.root / "dev/shm")] = room(total=64 << 20, left=64 << 20)
    (finding,) = about(machine.look(), "/dev/shm")
    assert finding.level == ("problem" if gpus > 1 else "ok")
    assert (finding.remedy == "docker run --shm-size=1g") == (gpus > 1)


def cluster(*hosts, index=0):
    task = {"type": "worker", "index": index - 1} if index else {"type": "chief", "index": 0}
    chief, *workers = [f"{host}:2222" for host in hosts]
    return {
        "TF_CONFIG": json.dumps({"cluster": {"chief": [chief], "worker": workers}, "task": task})
    }


def test_a_small_dev_shm_is_a_problem_of_several_hosts(machine):
    shutil.rmtree(machine.root / "dev/shm")
    machine.answers["statvfs"] = lambda path: os.statvfs(path)
    (finding,) = about(machine.look(cluster("a", "b")), "/dev/shm")
    assert finding.level == "problem"
    assert "between 2 hosts" in finding.text


def test_role_rank_and_hosts(machine):
    asked = []
    machine.answers["look_up"] = asked.append
    report = machine.look(cluster("a", "b", "c", index=2))
    (finding,) = about(report, "cluster")
    assert finding.text == "worker 1 of (1 chief, 2 worker), rank 2 of 3"
    assert sorted(asked) == ["a", "b", "c"]
    assert about(report, "hosts")[0].text == "all 3 names resolve"


def test_names_that_do_not_resolve_or_not_in_time_are_one_problem(machine):
    over = threading.Event()

    def look_up(host):
        if host == "slow":
            over.wait()
        if host == "gone":
            raise OSError(-2, "Name or service not known")

    machine.answers |= {"look_up": look_up, "host_seconds": 0.3}
    report = machine.look(cluster("here", "gone", "slow"))
    over.set()
    (finding,) = about(report, "hosts")
    assert finding.level == "problem"
    assert finding.facts["missing"] == ["gone", "slow"]
    assert "2 of 3 names do not resolve: gone, slow" in finding.text


def test_hosts_are_read_from_addresses():
    from trainer.doctor.setup import host_of

    addresses = ["a", "a:1", "[::1]:2222", "::1", "10.0.0.1:80"]
    assert [host_of(a) for a in addresses] == ["a", "a", "::1", "::1", "10.0.0.1"]


def test_folders_that_cannot_be_written_are_problems(machine):
    (machine.folder / "file").write_text("")
    below = str(machine.folder / "file" / "x")
    report = machine.look(model_dir=below, log_dir=below, checkpoint_dir=str(machine.folder))
    lines = [line for line in problems(report) if "cannot be written" in line]
    assert [line.split()[1] for line in lines] == ["--model-dir", "--output-dir", "--log-dir"]
    assert all("name another folder" in line for line in lines)
    assert about(report, f"--checkpoint-dir {machine.folder}")[0].facts["writable"]


def test_full_disks_are_problems(machine):
    machine.disks[str(machine.folder)] = room(left=1 << 20)
    machine.disks[str(machine.root / "tmp")] = room(inodes=0)
    assert not any("inode" in line for line in problems(machine.look()))
    machine.disks[str(machine.root / "tmp")] = os.statvfs_result(
        (4096, 4096, 10**9, 10**9, 10**9, 10, 0, 0, 0, 255)
    )
    lines = "\n".join(problems(machine.look()))
    assert "only 1.05 MB free: free some" in lines
    assert "temporary folder" in lines
    assert "no inode is free" in lines


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_disk_that_is_really_full_is_a_problem(machine):
    full = machine.folder / "full"
    full.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)])
    if mounted.returncode:
        pytest.skip("may not mount")
    try:
        (full / "fill").write_bytes(b"x" * 65536)
        lines = "\n".join(problems(machine.look(checkpoint_dir=str(full))))
    finally:
        subprocess.run(["umount", str(full)], check=True)
    assert "cannot be written: No space left on device" in lines


def test_the_temporary_folder_is_the_one_that_is_set(machine):
    other = machine.folder / "scratch"
    other.mkdir()
    report = machine.look({"TMPDIR": str(other)})
    assert about(report, f"TMPDIR {other}")[0].level == "ok"


def test_versions_are_reported_and_missing_ones_are_none(machine):
    found = {"tensorflow-cpu": "2.21.0", "numpy": "2.0"}
    machine.answers["installed_version"] = lambda *names: next(
        filter(None, map(found.get, names)), None
    )
    report = machine.look()
    (finding,) = about(report, "versions")
    assert finding.facts["tensorflow"] == "2.21.0"
    assert finding.facts["horovod"] is None
    assert any(line.startswith("problem  keras: is not installed") for line in problems(report))


def test_a_clock_before_the_package_was_installed_is_a_problem(machine):
    machine.answers["now"] = lambda: 0.0
    (finding,) = about(machine.look(), "clock")
    assert finding.level == "problem"
    assert finding.text.startswith("1970-01-01T00:00:00+00:00")


def test_what_cannot_be_read_is_a_problem_not_a_crash(machine):
    (machine.root / "proc/meminfo").unlink()
    (machine.root / "proc/cpuinfo").unlink()
    report = machine.look()
    (finding,) = about(report, "memory")
    assert "cannot be examined: FileNotFoundError" in finding.text
    assert about(report, "cpu")[0].level == "ok"


def test_every_problem_has_a_remedy_on_its_line(machine):
    machine.write("sys/fs/cgroup/memory.max", "1000")
    machine.write("dev/nvidia0")
    machine.answers["now"] = lambda: 0.0
    machine.disks[str(machine.folder)] = room(left=0)
    env = cluster("a", "b") | {"SM_NUM_GPUS": "1", "CLUSTER_SPEC": "{"}
    report = machine.look(env, steps=0)
    assert len(problems(report)) >= 6
    for finding in report.findings:
        assert finding.level != "problem" or finding.remedy or ";" in finding.text
        assert "\n" not in finding.line()


def test_the_important_fields_are_fields():
    from trainer.doctor.setup import IMPORTANT

    assert set(Job.__dataclass_fields__) | set(Hparams.__dataclass_fields__) >= IMPORTANT


SECRET = st.text(min_size=6, max_size=30).map(lambda text: f"Q7z{' '.join(text.split())}Zq7")


@given(SECRET)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_secret_is_printed(machine, secret):
    hidden = json.dumps({"api_key": secret, "note": f"<{secret}>"})
    env = {
        "AWS_SECRET_ACCESS_KEY": secret,
        "SM_MODEL_DIR": f"/opt/{secret}",
        "SM_HOSTS": "[]",
        "SM_HPS": hidden,
        "SM_CHANNEL_TRAIN": f"s3://bucket/{secret}",
    }
    whole = machine.look(
        env | {"SM_HP_MODULE": "x"}, module="my.model", log_dir=f"/nowhere/{secret}"
    )
    broken = machine.look({"TF_CONFIG": hidden[:-4], "A_TOKEN": secret}, model_dir=f"/tmp/{secret}")
    for report in (whole, broken):
        values = report.as_dict()
        shown = [
            "\n".join(report.lines()),
            json.dumps(values),
            json.dumps(values, ensure_ascii=False),
        ]
        for text in shown:
            assert secret not in text
            assert json.dumps(secret)[1:-1] not in text


def test_tensorflow_is_not_imported_and_it_starts_fast(tmp_path):
    code = """
import sys, time
start = time.process_time()
from trainer.doctor import examine
from trainer.doctor.dry_run import describe
from trainer.platforms.base import Environment
from trainer.platforms.resolve import resolve_job
imported = time.process_time() - start
assert "numpy" not in sys.modules
environment = Environment(env={"PATH": "", "TMPDIR": sys.argv[1]})
report = examine(environment, {"model_dir": sys.argv[1]})
describe(resolve_job(environment, {}), commands=())
assert report.lines()
assert not {"tensorflow", "keras"} & set(sys.modules)
print(imported)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < 0.5
