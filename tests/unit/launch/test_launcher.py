import importlib.util
import os
import signal
import socket
import sys
import threading

import pytest

from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.launch import launcher
from trainer.launch.launcher import launch, preview_commands
from trainer.launch.supervise.api import Command

PAIR = {"distribution": "multi_worker_mirrored", "processes_per_host": 2}


def command(script: str, **env: str) -> Command:
    argv = (sys.executable, "-S", "-c", f"import json, os, sys\n{script}")
    return Command(argv=argv, env={**os.environ, **env}, name="trainer")


def test_all_processes_of_one_host_run_and_each_line_says_whose_it_is(capfd):
    script = "print(json.loads(os.environ['TRAINER_TASK'])['role'])"
    assert launch(Job(**PAIR), command(script)).code == 0
    host = socket.gethostname()
    lines = capfd.readouterr().out.splitlines()
    assert sorted(lines) == [f"[{host} rank 0] chief", f"[{host} rank 1] worker"]


def test_a_single_process_has_no_name_before_its_lines(capfd, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    script = "print(os.environ['HOROVOD_SIZE'], os.environ['HOROVOD_GLOO_IFACE'])"
    assert launch(Job(distribution="horovod"), command(script)).code == 0
    assert capfd.readouterr().out == "1 lo\n"


def test_the_cause_of_a_failure_is_told_without_secrets(capfd):
    script = """
if json.loads(os.environ["TRAINER_TASK"])["role"] == "worker":
    raise ValueError("no such user: " + os.environ["DB_PASSWORD"])
sys.stdin.read()
import signal; signal.pause()
"""
    outcome = launch(Job(**PAIR), command(script, DB_PASSWORD="hunter2-is-secret"))
    assert (outcome.code, outcome.failed, outcome.failure.process) == (1, "rank 1", "rank 1")
    assert outcome.failure.reason.startswith("ValueError: no such user: ")
    assert "hunter2" not in outcome.failure.reason
    last = capfd.readouterr().err.splitlines()[-1]
    assert last == f"trainer: failed: {outcome.failure.line}"


def test_a_rank_that_fails_after_the_chief_has_ended_well_is_no_failure(capfd, tmp_path):
    os.mkfifo(tmp_path / "open")
    script = f"""
if json.loads(os.environ["TRAINER_TASK"])["role"] == "chief":
    # Closed by its end.
    held = os.open({str(tmp_path / "open")!r}, os.O_WRONLY)
    os.write(held, str(os.getpid()).encode())
    os._exit(0)
import contextlib, select
chief = int(open({str(tmp_path / "open")!r}).read())
with contextlib.suppress(ProcessLookupError):
    select.select([os.pidfd_open(chief)], [], [], 60)
sys.exit(7)
"""
    outcome = launch(Job(**PAIR), command(script))
    assert (outcome.code, outcome.failure, outcome.failed) == (0, None, None)
    assert "rank 1 ended with 7 after the chief had ended well" in capfd.readouterr().err


def test_hosts_and_handlers_are_as_before_and_nothing_is_left():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD)]
    threads = threading.active_count()
    launch(Job(**PAIR), command("sys.exit(3)"))
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD)] == before
    assert threading.active_count() == threads
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_port_that_is_taken_keeps_the_job_from_starting(capfd):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: "):
            launch(Job(**PAIR, port=port), command("print('started')"))
    assert capfd.readouterr().out == ""


def test_without_horovod_it_is_told_before_anything_starts(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="--distribution horovod: Horovod is not installed; use"):
        launch(Job(distribution="horovod"), command("print('started')"))


@pytest.mark.parametrize("how", ["horovod", "multi_worker_mirrored"])
@pytest.mark.parametrize(("blocks", "warned"), [(1 << 14, True), (1 << 18, False)])
def test_little_shared_memory_is_told_where_several_gpus_use_it(
    monkeypatch, capfd, blocks, warned, how
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    size = os.statvfs_result((4096, 4096, blocks, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(launcher.os, "statvfs", lambda path: size)
    launch(Job(distribution=how, gpus=2, processes_per_host=2), command(""))
    warning = "/dev/shm has 64 MiB, less than the 1 GiB that NCCL wants for 2 GPUs"
    assert (warning in capfd.readouterr().err) == warned


def test_a_preview_looks_for_no_ports_and_is_the_same_each_time():
    job = Job(distribution="parameter_server")
    first, second = (preview_commands(job, command("")) for _ in range(2))
    assert first == second
    host = socket.gethostname()
    assert [each.name for each in first] == [f"{host} {n}" for n in ("chief", "worker 0", "ps 0")]
    task = Cluster.from_json(first[2].env["TRAINER_TASK"])
    assert (task.task, task.ps) == ("ps 0", ("127.0.0.1:7120",))


def test_a_preview_shows_this_hosts_processes():
    cluster = Cluster(chief=("algo-1",), worker=("algo-2",), role="worker")
    job = Job(distribution="horovod", processes_per_host=2, cluster=cluster)
    commands = preview_commands(job, command(""))
    assert [each.name for each in commands] == ["algo-2 rank 2", "algo-2 rank 3"]
    assert commands[0].env["HOROVOD_GLOO_RENDEZVOUS_ADDR"] == "algo-1"


@pytest.mark.parametrize("how", ["horovod", "multi_worker_mirrored"])
def test_processes_without_a_gpu_of_their_own_are_refused(how):
    with pytest.raises(UserError, match=r"--processes-per-host 3: NCCL .* has 2; lower"):
        launch(Job(distribution=how, gpus=2, processes_per_host=3), command(""))
