"""Several hosts, each with an address and a name of its own, on the real MNIST."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import warm
from attacker import NOBODY, program
from namespaces import Hosts, Running
from processes import needs_horovod

TRAIN = [sys.executable, "-u", "-m", "trainer", "train"]
PLAIN = ("--model", "cnn", "--precision", "float32", "--threads", "1", "--log-every", "10")
# Until a failure anywhere has ended everything.
SOON = 10.0


def on_sagemaker(net: Hosts, i: int, folder: Path, data: Path, **more: object) -> dict[str, str]:
    """What a training job of so many instances gives its containers."""
    base = folder / net.names[i]
    for name in ("model", "output/data"):
        (base / name).mkdir(parents=True, exist_ok=True)
    return {
        "SAGEMAKER_BASE_DIR": str(base),
        "SM_MODEL_DIR": str(base / "model"),
        "SM_OUTPUT_DATA_DIR": str(base / "output/data"),
        "SM_CHANNEL_TRAINING": str(data),
        "SM_HOSTS": json.dumps(net.names),
        "SM_CURRENT_HOST": net.names[i],
        "SM_NETWORK_INTERFACE_NAME": "eth0",
        "SM_HPS": json.dumps(more),
        "SM_FRAMEWORK_PARAMS": json.dumps(
            {key: value for key, value in more.items() if key.startswith("sagemaker_")}
        ),
    }


def report(folder: Path, host: str) -> dict:
    return json.loads((folder / host / "output/data/metrics.json").read_text())


def end_all(running: list[Running]) -> float:
    """Wait until all have ended; seconds that took."""
    start = time.monotonic()
    for process in running:
        process.wait(SOON)
    return time.monotonic() - start


@needs_horovod
def test_four_ranks_on_two_hosts_of_sagemaker_train_though_one_comes_20_s_late(
    hosts,
    tfrecords: Path,
    tmp_path: Path,
):
    net = hosts(2)
    given = {"sagemaker_mpi_enabled": True, "sagemaker_mpi_num_of_processes_per_host": 2}
    argv = [sys.executable, "-u", "-m", "trainer", "train", *PLAIN, "--steps", "100"]
    first = net.start(0, argv, on_sagemaker(net, 0, tmp_path, tfrecords, **given), warm.Popen)
    # The other one comes when the first has said so for the second time.
    first.line(r"waiting for .*host-2.*: 2\d s", timeout=60)
    second = net.start(1, argv, on_sagemaker(net, 1, tmp_path, tfrecords, **given), warm.Popen)
    assert first.wait(180) == 0, first.text()
    assert second.wait(30) == 0, second.text()
    found = report(tmp_path, "host-1")
    assert found["processes"] == 4
    assert found["steps"] == 100
    assert found["test_accuracy"] > 0.9
    assert len(set(found["weights_crc32c"])) == 1
    assert "[host-1 rank 0] step=100 of=100" in first.text()
    # Only the chief writes.
    assert (tmp_path / "host-1/model/1/saved_model.pb").exists()
    assert not list((tmp_path / "host-2").rglob("*.*"))


@needs_horovod
def test_a_killed_rank_ends_all_hosts_which_say_whose_it_was(
    hosts,
    tfrecords: Path,
    tmp_path: Path,
):
    net = hosts(2)
    given = {"sagemaker_mpi_enabled": True, "sagemaker_mpi_num_of_processes_per_host": 2}
    argv = [str(Path(sys.executable).parent / "python"), str(entrypoint("sagemaker"))]
    flags = [*PLAIN, "--steps", "100000"]
    running = [
        net.start(i, [*argv, *flags], on_sagemaker(net, i, tmp_path, tfrecords, **given))
        for i in range(2)
    ]
    running[0].line(r"step=10 of", timeout=120)
    victim = rank_pid(net, 1, rank=3)
    os.kill(victim, signal.SIGKILL)
    assert end_all(running) < SOON
    for i, process in enumerate(running):
        failure = (tmp_path / net.names[i] / "output/failure").read_text()
        assert "rank 3" in failure, failure
        assert "host-2" in failure, failure
        assert process.wait(1) == 137


def test_two_workers_of_vertex_share_the_steps(hosts, tfrecords: Path, tmp_path: Path):
    net = hosts(2)
    running = start_roles(net, ["chief", "worker"], tmp_path, tfrecords, "--steps", "60")
    for process in running:
        assert process.wait(180) == 0, process.text()
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert (found["distribution"], found["processes"]) == ("multi_worker_mirrored", 2)
    assert len(set(found["weights_crc32c"])) == 1


def test_a_host_that_is_lost_ends_the_job_on_the_other(hosts, tfrecords: Path, tmp_path: Path):
    net = hosts(2)
    both = ["chief", "worker"]
    running = start_roles(net, both, tmp_path, tfrecords, "--steps", "100000", cold=(0, 1))
    running[0].line("step=10 of", timeout=120)
    for pid in net.pids(1):
        os.kill(pid, signal.SIGKILL)
    assert end_all(running[:1]) < SOON
    assert running[0].wait(1) >= 128
    assert "host-2" in running[0].text().splitlines()[-1], running[0].text()


def vertex(net: Hosts, roles: list[str], i: int) -> dict[str, str]:
    """CLUSTER_SPEC of pools of one or more replicas; host `i` is of role `roles[i]`."""
    pools = {"chief": 0, "worker": 1, "ps": 2, "evaluator": 3}
    cluster: dict[str, list[str]] = {}
    for name, role in zip(net.names, roles, strict=True):
        cluster.setdefault(f"workerpool{pools[role]}", []).append(f"{name}:2222")
    index = roles[:i].count(roles[i])
    task = {"type": f"workerpool{pools[roles[i]]}", "index": index}
    spec = {"cluster": cluster, "task": task, "environment": "cloud"}
    return {"CLUSTER_SPEC": json.dumps(spec)}


LONG = ("--steps", "400")
ROLES = ["chief", "worker", "worker", "ps", "ps", "evaluator"]


def start_roles(
    net: Hosts, roles: list[str], folder: Path, data: Path, *flags: str, cold: Sequence[int] = ()
) -> list[Running]:
    """Start a host for each role, those in `cold` as always."""
    argv = [*TRAIN, *PLAIN, "--train", str(data), "--job-dir", str(folder), *flags]
    how = [subprocess.Popen if i in cold else warm.Popen for i in range(len(roles))]
    return [net.start(i, argv, vertex(net, roles, i), start) for i, start in enumerate(how)]


def test_chief_workers_servers_and_evaluator_train_though_a_worker_is_killed(
    hosts,
    tfrecords: Path,
    tmp_path: Path,
):
    net = hosts(6)
    running = start_roles(
        net, ROLES, tmp_path, tfrecords, "--steps", "400", "--checkpoint-every", "100",
        cold=[2],
    )  # fmt: skip
    running[0].line("step=50 of", timeout=180)
    os.kill(net_child(net, 2), signal.SIGKILL)
    assert running[0].wait(240) == 0, running[0].text()
    for process in running[1:]:
        assert process.wait(90) == 0, process.text()
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["steps"] == 400
    assert found["test_accuracy"] > 0.93
    # The chief leaves it to the evaluator, which has seen the last checkpoint and one before it.
    assert "step=400 test_accuracy=" in running[5].text()
    assert running[5].text().count("test_accuracy=") >= 2


def test_a_lost_server_is_a_new_start_from_the_newest_checkpoint(
    hosts,
    tfrecords: Path,
    tmp_path: Path,
):
    net = hosts(6)
    running = start_roles(
        net, ROLES, tmp_path, tfrecords, "--steps", "400", "--checkpoint-every", "50",
        cold=[3],
    )  # fmt: skip
    running[0].line("step=100 of", timeout=180)
    os.kill(net_child(net, 3), signal.SIGKILL)
    running[0].line("resumed at step=", timeout=120)
    assert running[0].wait(240) == 0, running[0].text()
    for process in running[1:]:
        assert process.wait(90) == 0, process.text()
    assert json.loads((tmp_path / "metrics.json").read_text())["steps"] == 400


def entrypoint(name: str) -> Path:
    return Path(__file__).parent.parent.parent / "entrypoints" / name


def net_child(net: Hosts, host: int) -> int:
    """The process of a host that trains or serves: the one that its launcher started."""
    return max(pid for pid in net.pids(host) if b"TRAINER_TASK=" in environ(pid))


def rank_pid(net: Hosts, host: int, *, rank: int) -> int:
    variable = f"HOROVOD_RANK={rank}".encode()
    return next(pid for pid in net.pids(host) if variable in environ(pid).split(b"\0"))


def environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@needs_horovod
def test_a_host_that_never_comes_is_named_at_the_deadline(hosts, tfrecords: Path, tmp_path: Path):
    net = hosts(2)
    given = {"sagemaker_mpi_enabled": True, "start-timeout": 3}
    first = net.start(0, [*TRAIN, *PLAIN], on_sagemaker(net, 0, tmp_path, tfrecords, **given))
    assert first.wait(30) == pytest.approx(2, abs=198)
    assert first.wait(1) != 0
    assert "host-2" in first.text().splitlines()[-1]


@needs_horovod
def test_ranks_find_each_other_whoever_writes_addresses_too(
    hosts,
    tfrecords: Path,
    tmp_path: Path,
):
    net = hosts(3)
    names = net.names
    net.names = names[:2]
    given = {"sagemaker_mpi_enabled": True, "trainer_secret": "hunter2-is-secret"}
    argv = [sys.executable, "-u", "-m", "trainer", "train", *PLAIN, "--steps", "20"]
    first = net.start(0, argv, on_sagemaker(net, 0, tmp_path, tfrecords, **given), warm.Popen)
    first.line(r"waiting for .*host-2", timeout=60)
    # From before the start, when a place is still to be had.
    attackers = [
        net.start(2, program("host-1", count=1000, seed=4)),
        net.start(0, program("host-1", count=1000, seed=5, user=NOBODY)),
    ]
    second = net.start(1, argv, on_sagemaker(net, 1, tmp_path, tfrecords, **given), warm.Popen)
    assert first.wait(180) == 0, first.text()
    assert second.wait(30) == 0, second.text()
    for each in attackers:
        assert each.wait(60) == 0
    assert report(tmp_path, "host-1")["steps"] == 20
    for each in (first, second):
        assert "hunter2" not in each.text()
