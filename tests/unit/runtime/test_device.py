from types import SimpleNamespace

import pytest
import tensorflow as tf

from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.distribution import spec_of
from trainer.runtime import cuda, device
from trainer.runtime.device import Device

pytestmark = pytest.mark.tensorflow

BUILT = {"cuda_version": "12.5.1", "cuda_compute_capabilities": ["sm_60", "sm_89", "compute_90"]}


def tensorflow(*capabilities):
    """What is asked of TensorFlow, where it lists GPUs of these capabilities."""
    details = [{"device_name": "A GPU", "compute_capability": c} for c in capabilities]
    return SimpleNamespace(
        config=SimpleNamespace(
            get_visible_devices=lambda kind: details,
            experimental=SimpleNamespace(get_device_details=lambda gpu: gpu),
        ),
        sysconfig=SimpleNamespace(get_build_info=lambda: BUILT),
    )


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A driver that is well, and one library that is missing."""
    found = SimpleNamespace(
        causes=[cuda.Cause(text="library x is not found", remedy="install it")], driver=[]
    )
    monkeypatch.setattr(cuda, "causes", lambda: found.causes)
    monkeypatch.setattr(cuda, "driver_causes", lambda: found.driver)
    monkeypatch.setattr(cuda, "driver", lambda: cuda.Driver(release="580.00", cuda=13000))
    return found


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (
            Job(gpu_expected="/dev/nvidia0"),
            "--device auto: a GPU is there (/dev/nvidia0), but TensorFlow finds none: library x is "
            "not found; install it; or train on the CPU with --device cpu",
        ),
        (Job(device="gpu"), "--device gpu: TensorFlow finds no GPU: library x is not found; "),
        (Job(), None),
        (Job(device="cpu"), None),
    ],
)
def test_a_gpu_that_is_not_used_ends_the_run_unless_nobody_speaks_of_one(job, said):
    if said is None:
        device.check_gpu(job, tensorflow())
        return
    with pytest.raises(UserError) as raised:
        device.check_gpu(job, tensorflow())
    assert str(raised.value).startswith(said)
    device.check_gpu(job, tensorflow((9, 0)))


@pytest.mark.parametrize(
    ("role", "computes"), [("chief", False), ("ps", False), ("worker", True), ("evaluator", True)]
)
def test_with_parameter_servers_those_who_compute_need_it(role, computes):
    job = Job(device="gpu", distribution="parameter_server", cluster=Cluster(role=role))
    assert spec_of(job).computes(role) == computes
    if not computes:
        device.check_gpu(job, tensorflow(), computes=False)
        return
    with pytest.raises(UserError, match="--device gpu"):
        device.check_gpu(job, tensorflow())


def test_a_driver_that_lists_a_gpu_and_cannot_use_it_ends_the_run(machine):
    machine.driver = [cuda.Cause(text="driver 470 is too old", remedy="install a newer one")]
    with pytest.raises(UserError, match="TensorFlow cannot use it: driver 470 is too old"):
        device.check_gpu(Job(gpu_expected="/dev/nvidia0"), tensorflow((9, 0)))
    device.check_gpu(Job(device="cpu", gpu_expected="/dev/nvidia0"), tensorflow((9, 0)))


def test_a_gpu_for_which_tensorflow_has_no_code_ends_the_run():
    with pytest.raises(UserError, match=r"capability, 5\.2, is too old: .* needs 6\.0 or more"):
        device.check_gpu(Job(), tensorflow((5, 2)))


def test_nothing_wrong_is_still_an_error_where_no_gpu_is_listed(machine):
    machine.causes = []
    with pytest.raises(UserError, match="libraries are there; see what --verbosity DEBUG shows"):
        device.check_gpu(Job(gpu_expected="/dev/nvidia0"), tensorflow())


def test_a_server_reports_why_it_does_not_use_the_gpu():
    assert device.why_gpu_unused(tensorflow(), None) is None
    assert device.why_gpu_unused(tensorflow((8, 0)), "/dev/nvidia0") is None
    assert "finds none: library x is not found" in device.why_gpu_unused(
        tensorflow(), "/dev/nvidia0"
    )


def test_the_device_is_named():
    found = device.device_in_use(tensorflow((9, 0), (9, 0)))
    assert found == Device(
        kind="gpu", name="A GPU", count=2, compute_capability="9.0", driver="580.00", cuda="12.5.1"
    )
    assert found.line == (
        "device: 2 GPUs, A GPU, compute capability 9.0, driver 580.00, CUDA 12.5.1"
    )
    mine = device.device_in_use(tf)
    assert mine.kind == "cpu"
    assert mine.line == f"device: CPU, {mine.name}, {mine.count} cores"
