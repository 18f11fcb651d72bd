"""Which of several processes this one is, as launchers of other makes say it."""

from pathlib import Path

import pytest

from trainer.config.cluster import TASK_VARIABLE, Cluster
from trainer.config.errors import UserError
from trainer.platforms.base import Environment
from trainer.platforms.process_env import (
    HOROVODRUN,
    OPEN_MPI,
    count_gpus,
    gpu_evidence,
    gpus_are_hidden,
    missing_gpu_warning,
    read_started_process,
)
from trainer.platforms.resolve import resolve_job

NOWHERE = Path("/nowhere")


# What the image for GPUs sets.
IMAGE = {"NVIDIA_VISIBLE_DEVICES": "all", "TRAINER_BUILT_FOR": "gpu"}


def seen(root: Path = NOWHERE, **env: str) -> Environment:
    return Environment(env=env, root=root)


def ranked(names: tuple[str, ...], *numbers: int) -> dict[str, str]:
    return {name: str(number) for name, number in zip(names, numbers, strict=True)}


@pytest.mark.parametrize("names", [OPEN_MPI, HOROVODRUN])
def test_a_rank_of_mpirun_or_horovodrun_knows_its_place(names):
    found = read_started_process(seen(**ranked(names, 5, 6, 1, 2)))
    assert found is not None
    cluster, source = found
    assert source == names[0]
    assert (cluster.rank, len(cluster.trainers), cluster.is_chief) == (5, 6, False)
    assert (cluster.local_rank, cluster.local_size) == (1, 2)
    first, _ = read_started_process(seen(**ranked(names, 0, 6, 0, 2)))
    assert (first.rank, first.is_chief) == (0, True)


def test_a_process_that_nobody_started_as_one_of_several_is_alone():
    assert read_started_process(seen(OMPI_COMM_WORLD_RANK="1", HOROVOD_RANK="2")) is None


def test_our_own_launchers_word_counts_before_mpiruns():
    task = Cluster(chief=("a:1",), worker=("b:1",), ps=("c:1",), role="ps")
    env = ranked(OPEN_MPI, 1, 2, 0, 1) | {TASK_VARIABLE: task.to_json()}
    assert read_started_process(seen(**env)) == (task, TASK_VARIABLE)


@pytest.mark.parametrize("text", ["rank 3", "[]", "{}", '{"chief": []}', '{"chiefs": []}'])
def test_a_task_that_our_launcher_did_not_write_is_one_line(text):
    with pytest.raises(UserError, match=f"^{TASK_VARIABLE}: expected what the trainer's launcher"):
        read_started_process(seen(**{TASK_VARIABLE: text}))


def test_a_rank_that_is_no_number_is_shown():
    env = ranked(OPEN_MPI, 0, 2, 0, 1) | {OPEN_MPI[0]: "first"}
    with pytest.raises(UserError, match=f"{OPEN_MPI[0]}=first, .*expected whole numbers"):
        read_started_process(seen(**env))


@pytest.mark.parametrize("names", [OPEN_MPI, HOROVODRUN])
def test_ranks_of_mpirun_are_horovods_unless_there_is_but_one(names):
    job = resolve_job(seen(**ranked(names, 1, 2, 1, 2)), {}).job
    assert (job.distribution, job.launched, job.cluster.rank) == ("horovod", True, 1)
    assert resolve_job(seen(**ranked(names, 0, 1, 0, 1)), {}).job.distribution == "none"


@pytest.mark.parametrize("how", ["none", "multi_worker_mirrored", "parameter_server"])
def test_what_mpirun_cannot_start_is_refused_before_each_rank_trains_by_itself(how):
    with pytest.raises(UserError, match=f"--distribution {how}: OMPI.* set --distribution horovod"):
        resolve_job(seen(**ranked(OPEN_MPI, 1, 4, 1, 4)), {"distribution": how})


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


@pytest.mark.parametrize(
    ("files", "env", "sign"),
    [
        ((), {}, None),
        (("nvidia1", "nvidia0"), {}, "/dev/nvidia0"),
        # Of the driver, and of no GPU.
        (("nvidiactl", "nvidia-uvm"), {}, None),
        (("dxg",), {}, "/dev/dxg"),
        ((), {"NVIDIA_VISIBLE_DEVICES": "0"}, "NVIDIA_VISIBLE_DEVICES=0"),
        ((), {"NVIDIA_VISIBLE_DEVICES": "all"}, "NVIDIA_VISIBLE_DEVICES=all"),
        ((), {"NVIDIA_VISIBLE_DEVICES": "void"}, None),
        ((), {"NVIDIA_VISIBLE_DEVICES": "none"}, None),
        ((), {"NVIDIA_VISIBLE_DEVICES": ""}, None),
        # The image for GPUs says so itself, wherever it runs.
        ((), {"NVIDIA_VISIBLE_DEVICES": "all", "TRAINER_BUILT_FOR": "gpu"}, None),
        (
            (),
            {"NVIDIA_VISIBLE_DEVICES": "1", "TRAINER_BUILT_FOR": "gpu"},
            "NVIDIA_VISIBLE_DEVICES=1",
        ),
        (
            ("nvidia0",),
            {"NVIDIA_VISIBLE_DEVICES": "all", "TRAINER_BUILT_FOR": "gpu"},
            "/dev/nvidia0",
        ),
    ],
)
def test_what_says_that_there_is_a_gpu(tmp_path, files, env, sign):
    (tmp_path / "dev").mkdir()
    for name in files:
        (tmp_path / "dev" / name).touch()
    assert gpu_evidence(seen(tmp_path, **env)) == sign


@pytest.mark.parametrize(
    ("visible", "hidden"), [("", True), ("-1", True), ("NoDevFiles", True), ("0", False)]
)
def test_gpus_can_be_hidden(visible, hidden):
    assert gpus_are_hidden(seen(CUDA_VISIBLE_DEVICES=visible)) is hidden
    assert not gpus_are_hidden(seen(NOWHERE))


def test_a_missing_gpu_is_told_where_the_image_is_made_for_one(tmp_path):
    (tmp_path / "dev").mkdir()
    assert missing_gpu_warning(seen(tmp_path)) is None
    assert missing_gpu_warning(seen(tmp_path, NVIDIA_VISIBLE_DEVICES="all")) is None
    assert missing_gpu_warning(seen(tmp_path, **IMAGE | {"NVIDIA_VISIBLE_DEVICES": "void"})) is None
    line = missing_gpu_warning(seen(tmp_path, **IMAGE))
    assert line
    assert "training on the CPU" in line
    assert "--gpus all" in line
    (tmp_path / "dev/nvidiactl").touch()
    assert missing_gpu_warning(seen(tmp_path, **IMAGE)) == line
    (tmp_path / "dev/nvidia0").touch()
    assert missing_gpu_warning(seen(tmp_path, **IMAGE)) is None


def test_the_device_is_what_any_word_says(tmp_path):
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia1"):
        (tmp_path / "dev" / name).touch()
    job = resolve_job(seen(tmp_path), {}).job
    assert (job.device, job.gpus, job.gpu_expected) == ("auto", 2, "/dev/nvidia0")
    assert job.distribution == "mirrored"
    job = {"SM_MODEL_DIR": "m", "SM_HPS": '{"device": "cpu"}'}
    on_cpu = resolve_job(seen(tmp_path, **job), {}).job
    assert (on_cpu.device, on_cpu.gpus, on_cpu.gpu_expected) == ("cpu", 0, None)
    assert on_cpu.distribution == "none"
    assert resolve_job(seen(tmp_path, **job), {"device": "gpu"}).job.gpus == 2


def test_hidden_gpus_are_told_and_a_contradiction_is_refused(tmp_path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia0").touch()
    hides = {"CUDA_VISIBLE_DEVICES": "-1"}
    found = resolve_job(seen(tmp_path, **hides), {})
    assert (found.job.gpus, found.job.gpu_expected) == (0, None)
    assert found.notes == ("/dev/nvidia0: hidden by CUDA_VISIBLE_DEVICES=-1, training on the CPU",)
    assert resolve_job(seen(tmp_path, **hides), {"device": "cpu"}).notes == ()
    assert resolve_job(seen(NOWHERE, **hides), {}).notes == ()
    with pytest.raises(UserError, match="--device gpu: CUDA_VISIBLE_DEVICES=-1 hides all GPUs"):
        resolve_job(seen(tmp_path, **hides), {"device": "gpu"})
