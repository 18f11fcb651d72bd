"""A host under mpirun: what ends when it is stopped, and who is to blame for a failure."""

import os
import signal
import subprocess

import pytest
from fake_host import FakeHost

from trainer.distribution.planned_process import PlannedProcess
from trainer.launch.plan import Member
from trainer.launch.rendezvous.messages import Stopping
from trainer.sagemaker.mpi.mpi_agent import MpiAgent, ranks


def started(role: str) -> FakeHost:
    host = FakeHost(
        MpiAgent,
        PlannedProcess(role=role, index=0, member=""),
        member=Member(role=role, index=0),
        host_of=lambda rank: f"host-{rank // 2}",
    )
    host.start()
    host.take_actions()
    return host


@pytest.fixture
def rank():
    """A process as mpirun starts it, with a child of its own."""
    script = "trap 'kill $!; exit 0' TERM; sleep 1000 & echo ready; wait"
    env = {**os.environ, "OMPI_COMM_WORLD_RANK": "0"}
    process = subprocess.Popen(
        ["/bin/bash", "-c", script], env=env, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize(
    ("role", "action"),
    [("chief", "terminate chief in 2 s"), ("worker", "terminate nobody in 100 s")],
)
def test_without_ranks_mpirun_ends_and_an_ssh_server_stays(role, action):
    host = started(role)
    host.sigterm()
    assert host.take_actions() == [action]
    assert host.take_reports() == [Stopping(host="host-a")]


def test_ranks_are_ended_and_not_what_runs_them(rank):
    assert ranks() == [rank.pid]
    host = started("chief")
    host.receive(Stopping(host="host-b"))
    assert rank.wait(10) in (0, -signal.SIGTERM)
    assert host.take_actions() == ["terminate nobody in 100 s"]
    assert host.control.lines == ["host host-b was told to end; so are the processes here"]
    # They have been asked already.
    host.sigterm()
    assert host.take_actions() == []


@pytest.mark.parametrize(
    ("code", "tail", "blamed", "secondary"),
    [
        (1, "[1,3]<stderr>:ValueError: bad\nMPI_ABORT was invoked on rank 3 in", "rank 3", False),
        (1, "[1,1]<stderr>:connection reset by peer\nMPI_ABORT was invoked on rank 1 in", "rank 1",
         True),
        (1, "ORTE has lost communication with a remote daemon.", "chief", True),
        (1, "mpirun: no such option", "chief", False),
    ],
)  # fmt: skip
def test_the_rank_that_mpirun_blames_has_failed(code, tail, blamed, secondary):
    host = started("chief")
    host.exit("chief", code, tail=tail)
    [report] = host.take_reports()
    failure = report.failure
    assert (failure.process, failure.secondary) == (blamed, secondary)
    assert failure.host == ("host-a" if blamed == "chief" else f"host-{int(blamed[-1]) // 2}")
