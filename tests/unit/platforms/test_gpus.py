"""The GPUs of a host, by files and variables."""

from pathlib import Path

import pytest

from trainer.config.errors import UserError
from trainer.platforms.base import Environment
from trainer.platforms.gpus import (
    count_gpus,
    gpu_evidence,
    gpus_are_hidden,
    missing_gpu_warning,
)
from trainer.platforms.resolve import resolve_job

NOWHERE = Path("/nowhere")
# What the image for GPUs sets.
IMAGE = {"NVIDIA_VISIBLE_DEVICES": "all", "TRAINER_BUILT_FOR": "gpu"}


def host(root: Path = NOWHERE, **env: str) -> Environment:
    return Environment(env=env, root=root)


@pytest.mark.parametrize(
    ("visible", "count"),
    [("0,1", 2), ("GPU-a, GPU-b,GPU-c", 3), ("", 0), ("-1", 0), ("1,-1,0", 1), ("NoDevFiles", 0)],
)
def test_cuda_visible_devices_says_how_many_gpus_are_used(visible, count):
    assert count_gpus(host(CUDA_VISIBLE_DEVICES=visible)) == count


def test_gpus_are_those_with_a_device_of_their_own(tmp_path):
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia11", "nvidiactl", "nvidia-uvm", "nvidia0p1"):
        (tmp_path / "dev" / name).touch()
    assert count_gpus(host(tmp_path)) == 2
    assert count_gpus(host(NOWHERE)) == 0


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
def test_a_file_or_variable_shows_that_there_is_a_gpu(tmp_path, files, env, sign):
    (tmp_path / "dev").mkdir()
    for name in files:
        (tmp_path / "dev" / name).touch()
    assert gpu_evidence(host(tmp_path, **env)) == sign


@pytest.mark.parametrize(
    ("visible", "hidden"), [("", True), ("-1", True), ("NoDevFiles", True), ("0", False)]
)
def test_gpus_can_be_hidden(visible, hidden):
    assert gpus_are_hidden(host(CUDA_VISIBLE_DEVICES=visible)) is hidden
    assert not gpus_are_hidden(host(NOWHERE))


def test_the_image_for_gpus_warns_where_there_is_none(tmp_path):
    (tmp_path / "dev").mkdir()
    assert missing_gpu_warning(host(tmp_path)) is None
    assert missing_gpu_warning(host(tmp_path, NVIDIA_VISIBLE_DEVICES="all")) is None
    assert missing_gpu_warning(host(tmp_path, **IMAGE | {"NVIDIA_VISIBLE_DEVICES": "void"})) is None
    line = missing_gpu_warning(host(tmp_path, **IMAGE))
    assert line
    assert "training on the CPU" in line
    assert "--gpus all" in line
    (tmp_path / "dev/nvidiactl").touch()
    assert missing_gpu_warning(host(tmp_path, **IMAGE)) == line
    (tmp_path / "dev/nvidia0").touch()
    assert missing_gpu_warning(host(tmp_path, **IMAGE)) is None


def test_flag_and_hyperparameter_choose_the_device(tmp_path):
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia1"):
        (tmp_path / "dev" / name).touch()
    job = resolve_job(host(tmp_path), {}).job
    assert (job.device, job.gpus, job.gpu_expected) == ("auto", 2, "/dev/nvidia0")
    assert job.distribution == "mirrored"
    job = {"SM_MODEL_DIR": "m", "SM_HPS": '{"device": "cpu"}'}
    on_cpu = resolve_job(host(tmp_path, **job), {}).job
    assert (on_cpu.device, on_cpu.gpus, on_cpu.gpu_expected) == ("cpu", 0, None)
    assert on_cpu.distribution == "none"
    assert resolve_job(host(tmp_path, **job), {"device": "gpu"}).job.gpus == 2


def test_hidden_gpus_are_noted_and_a_contradiction_is_refused(tmp_path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia0").touch()
    hides = {"CUDA_VISIBLE_DEVICES": "-1"}
    found = resolve_job(host(tmp_path, **hides), {})
    assert (found.job.gpus, found.job.gpu_expected) == (0, None)
    assert found.notes == ("/dev/nvidia0: hidden by CUDA_VISIBLE_DEVICES=-1, training on the CPU",)
    assert resolve_job(host(tmp_path, **hides), {"device": "cpu"}).notes == ()
    assert resolve_job(host(NOWHERE, **hides), {}).notes == ()
    with pytest.raises(UserError, match="--device gpu: CUDA_VISIBLE_DEVICES=-1 hides all GPUs"):
        resolve_job(host(tmp_path, **hides), {"device": "gpu"})
