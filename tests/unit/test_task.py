"""Which of several processes this one is, as launchers of other makes say it."""

from pathlib import Path

import pytest

from trainer.cluster import Cluster
from trainer.errors import UserError
from trainer.platforms.base import Seen
from trainer.platforms.resolve import resolve
from trainer.platforms.task import HOROVODRUN, OPEN_MPI, VARIABLE, count_gpus, read_task

NOWHERE = Path("/nowhere")


def seen(root: Path = NOWHERE, **env: str) -> Seen:
    return Seen(env=env, root=root)


def ranked(names: tuple[str, ...], *numbers: int) -> dict[str, str]:
    return {name: str(number) for name, number in zip(names, numbers, strict=True)}


@pytest.mark.parametrize("names", [OPEN_MPI, HOROVODRUN])
def test_a_rank_of_mpirun_or_horovodrun_knows_its_place(names):
    found = read_task(seen(**ranked(names, 5, 6, 1, 2)))
    assert found is not None
    cluster, source = found
    assert source == names[0]
    assert (cluster.rank, len(cluster.trainers), cluster.is_chief) == (5, 6, False)
    assert (cluster.local_rank, cluster.local_size) == (1, 2)
    first, _ = read_task(seen(**ranked(names, 0, 6, 0, 2)))
    assert (first.rank, first.is_chief) == (0, True)


def test_a_process_that_nobody_started_as_one_of_several_is_alone():
    assert read_task(seen(OMPI_COMM_WORLD_RANK="1", HOROVOD_RANK="2")) is None


def test_our_own_launchers_word_counts_before_mpiruns():
    task = Cluster(chief=("a:1",), worker=("b:1",), ps=("c:1",), role="ps")
    env = ranked(OPEN_MPI, 1, 2, 0, 1) | {VARIABLE: task.to_json()}
    assert read_task(seen(**env)) == (task, VARIABLE)


@pytest.mark.parametrize("text", ["rank 3", "[]", "{}", '{"chief": []}', '{"chiefs": []}'])
def test_a_task_that_our_launcher_did_not_write_is_one_line(text):
    with pytest.raises(UserError, match=f"^{VARIABLE}: expected what the trainer's launcher"):
        read_task(seen(**{VARIABLE: text}))


def test_a_rank_that_is_no_number_is_shown():
    env = ranked(OPEN_MPI, 0, 2, 0, 1) | {OPEN_MPI[0]: "first"}
    with pytest.raises(UserError, match=f"{OPEN_MPI[0]}=first, .*expected whole numbers"):
        read_task(seen(**env))


@pytest.mark.parametrize("names", [OPEN_MPI, HOROVODRUN])
def test_ranks_of_mpirun_are_horovods_unless_there_is_but_one(names):
    job = resolve(seen(**ranked(names, 1, 2, 1, 2)), {}).job
    assert (job.distribution, job.launched, job.cluster.rank) == ("horovod", True, 1)
    assert resolve(seen(**ranked(names, 0, 1, 0, 1)), {}).job.distribution == "none"


@pytest.mark.parametrize("how", ["none", "multi_worker_mirrored", "parameter_server"])
def test_what_mpirun_cannot_start_is_refused_before_each_rank_trains_by_itself(how):
    with pytest.raises(UserError, match=f"--distribution {how}: OMPI.* set --distribution horovod"):
        resolve(seen(**ranked(OPEN_MPI, 1, 4, 1, 4)), {"distribution": how})


@pytest.mark.parametrize(
    ("visible", "count"),
    [("0,1", 2), ("GPU-a, GPU-b,GPU-c", 3), ("", 0), ("-1", 0), ("1,-1,0", 1), ("NoDevFiles", 0)],
)
def test_gpus_are_those_that_cuda_is_told_to_show(visible, count):
    assert count_gpus(seen(CUDA_VISIBLE_DEVICES=visible)) == count


def test_gpus_are_those_with_a_device_of_their_own(tmp_path):
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia11", "nvidiactl", "nvidia-uvm", "nvidia0p1"):
        (tmp_path / "dev" / name).touch()
    assert count_gpus(seen(tmp_path)) == 2
    assert count_gpus(seen(NOWHERE)) == 0
