"""The place of a process among several, as the variables of launchers describe it."""

from pathlib import Path

import pytest

from trainer.config.cluster import TASK_VARIABLE, Cluster
from trainer.config.errors import UserError
from trainer.platforms.base import Environment
from trainer.platforms.process_env import (
    HOROVODRUN,
    OPEN_MPI,
    read_started_process,
)
from trainer.platforms.resolve import resolve_job

NOWHERE = Path("/nowhere")


def started(root: Path = NOWHERE, **env: str) -> Environment:
    return Environment(env=env, root=root)


def ranked(names: tuple[str, ...], *numbers: int) -> dict[str, str]:
    return {name: str(number) for name, number in zip(names, numbers, strict=True)}


@pytest.mark.parametrize("names", [OPEN_MPI, HOROVODRUN])
def test_a_rank_of_mpirun_or_horovodrun_knows_its_place(names):
    found = read_started_process(started(**ranked(names, 5, 6, 1, 2)))
    assert found is not None
    cluster, source = found
    assert source == names[0]
    assert (cluster.rank, len(cluster.trainers), cluster.is_chief) == (5, 6, False)
    assert (cluster.local_rank, cluster.local_size) == (1, 2)
    first, _ = read_started_process(started(**ranked(names, 0, 6, 0, 2)))
    assert (first.rank, first.is_chief) == (0, True)


def test_a_process_that_nobody_started_as_one_of_several_is_alone():
    assert read_started_process(started(OMPI_COMM_WORLD_RANK="1", HOROVOD_RANK="2")) is None


def test_our_own_launchers_variable_counts_before_mpiruns():
    task = Cluster(chief=("a:1",), worker=("b:1",), ps=("c:1",), role="ps")
    env = ranked(OPEN_MPI, 1, 2, 0, 1) | {TASK_VARIABLE: task.to_json()}
    assert read_started_process(started(**env)) == (task, TASK_VARIABLE)


@pytest.mark.parametrize("text", ["rank 3", "[]", "{}", '{"chief": []}', '{"chiefs": []}'])
def test_a_task_that_our_launcher_did_not_write_is_one_line(text):
    with pytest.raises(UserError, match=f"^{TASK_VARIABLE}: expected what the trainer's launcher"):
        read_started_process(started(**{TASK_VARIABLE: text}))


def test_a_rank_that_is_no_number_is_shown():
    env = ranked(OPEN_MPI, 0, 2, 0, 1) | {OPEN_MPI[0]: "first"}
    with pytest.raises(UserError, match=f"{OPEN_MPI[0]}=first, .*expected whole numbers"):
        read_started_process(started(**env))


@pytest.mark.parametrize("names", [OPEN_MPI, HOROVODRUN])
def test_ranks_of_mpirun_are_horovods_unless_there_is_but_one(names):
    job = resolve_job(started(**ranked(names, 1, 2, 1, 2)), {}).job
    assert (job.distribution, job.launched, job.cluster.rank) == ("horovod", True, 1)
    assert resolve_job(started(**ranked(names, 0, 1, 0, 1)), {}).job.distribution == "none"


@pytest.mark.parametrize("how", ["none", "multi_worker_mirrored", "parameter_server"])
def test_what_mpirun_cannot_start_is_refused_before_each_rank_trains_by_itself(how):
    with pytest.raises(UserError, match=f"--distribution {how}: OMPI.* set --distribution horovod"):
        resolve_job(started(**ranked(OPEN_MPI, 1, 4, 1, 4)), {"distribution": how})
