"""The image for GPUs under a stand-in for the driver (docker/gpu), up to the first use of a GPU.

NVIDIA's runtime library makes no context with a driver that is not NVIDIA's own: what computes on a
GPU is in tests/gpu.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from containers import ROOT, Container

SOURCES = ROOT / "docker/gpu"
PACKAGES = "/opt/trainer/lib/python3*/site-packages"
# Some run a dozen processes that import TensorFlow.
SECONDS = 600.0
# Where the driver is on Kubernetes' services.
FOLDER = "/usr/local/nvidia/lib64"
BOTH = ("libcuda.so.1", "libnvidia-ml.so.1")
# Which GPUs a process uses, as TensorFlow lists them.
USED = """
import sys
from trainer.runtime import device, precision, tensorflow as runtime
gpu = int(sys.argv[1]) if sys.argv[1:] else None
tf = runtime.import_tensorflow(gpu=gpu, start=False)
gpus = tf.config.get_visible_devices("GPU")
details = [tf.config.experimental.get_device_details(one) for one in gpus]
growth = [tf.config.experimental.get_memory_growth(one) for one in gpus]
names = (d["device_name"].split()[-1] for d in details)
print(*names, all(growth), precision.default_precision(tf))
"""
LIST = 'import tensorflow as tf; print(len(tf.config.list_physical_devices("GPU")))'


@pytest.fixture(scope="module")
def image(engine) -> str:
    """The image for GPUs, where it is here: it takes 20 minutes and 30 GB to make."""
    name = os.environ.get("TRAINER_IMAGE", "")
    name = name if name.endswith("gpu") else "trainer:gpu"
    if engine("image", "inspect", name, check=False).returncode:
        pytest.skip("no image for GPUs is here: make image-gpu")
    return name


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> Path:
    """A folder with the stand-ins."""
    if shutil.which("cc") is None:
        pytest.skip("needs cc")
    folder = tmp_path_factory.mktemp("driver")
    for name in ("libcuda", "libnvidia-ml"):
        library = folder / f"{name}.so.1"
        argv = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o", library]
        subprocess.run([*argv, SOURCES / f"{name}.c"], check=True, timeout=60)
    return folder


@pytest.fixture
def run(start, driver, tmp_path) -> Callable[..., Container]:
    """Runs a program to its end, with the stand-ins where the container toolkit has drivers."""

    def to_its_end(
        *argv: str, gpus: int = 1, code: int = 0, has: tuple[str, ...] = BOTH, **env: str
    ) -> Container:
        told = {"STAND_IN_GPUS": str(gpus), **env}
        options = ["--network", "none", "-v", f"{SOURCES}:/gpu:ro"]
        options += [o for name in has for o in ("-v", f"{driver / name}:{FOLDER}/{name}:ro")]
        options += [o for name, value in told.items() for o in ("-e", f"{name}={value}")]
        # Files that say that there are GPUs; nothing opens them.
        options += [o for i in range(gpus) for o in ("--device", f"/dev/null:/dev/nvidia{i}")]
        ran = start(*argv, options=tuple(options))
        assert ran.wait(timeout=SECONDS) == code, ran.text
        return ran

    return to_its_end


def test_everything_in_the_image_finds_nvidias_libraries(run):
    ran = run("python3", "/gpu/check.py")
    assert len(ran.lines) == 7
    assert all(line.endswith(": ok") for line in ran.lines)


def test_the_check_names_a_library_that_is_not_found(run):
    broken = f"rm {PACKAGES}/nvidia/cublas/lib/libcusolver.so.11; python3 /gpu/check.py"
    ran = run("bash", "-c", broken, code=1)
    assert "gpu check: TensorFlow's libraries: not found: libcusolver.so.11" in ran.lines
    assert any(line.startswith("gpu check: python3: TensorFlow lists /phys") for line in ran.lines)
    # Which does not trouble the trainer: it opens the library itself.
    assert "gpu check: trainer: ok" in ran.lines


def test_ranks_and_processes_use_gpus_of_their_own_and_not_all_of_their_memory(run):
    both = 'python3 -c "$0" && python3 -c "$0" 1 && CUDA_VISIBLE_DEVICES=2,0 python3 -c "$0"'
    ran = run("bash", "-c", both, USED, gpus=3)
    assert ran.lines == ["0 1 2 True bfloat16", "1 True bfloat16", "2 0 True bfloat16"]


@pytest.mark.parametrize(("capability", "precision"), [("7.5", "float16"), ("6.1", "float32")])
def test_an_older_gpu_computes_in_what_it_has(run, capability, precision):
    ran = run("python3", "-c", USED, STAND_IN_CAPABILITY=capability)
    assert ran.lines == [f"0 True {precision}"]


def test_multi_worker_mirrored_divides_the_gpus_of_a_host(run):
    flags = ("--distribution", "multi_worker_mirrored", "--processes-per-host", "2")
    ran = run("trainer", "train", "--dry-run", "--json", *flags, gpus=4)
    processes = json.loads(ran.text)["processes"]
    assert [p["env"]["CUDA_VISIBLE_DEVICES"] for p in processes] == ["0,1", "2,3"]


def test_what_the_driver_compiles_is_kept_where_any_user_may_write(run):
    keep = 'mkdir "$CUDA_CACHE_PATH" && echo "$CUDA_CACHE_PATH $CUDA_CACHE_MAXSIZE"'
    assert run("bash", "-c", keep, gpus=0).lines == ["/tmp/cuda-cache 2147483648"]


def test_a_gpu_that_is_found_and_cannot_be_used_ends_the_run(run):
    """As far as a stand-in goes: TensorFlow takes the GPU, and the runtime library refuses."""
    ran = run("train", "--steps", "1", "--model", "fast", code=1)
    (line,) = ran.lines
    assert line.startswith("trainer: failed: ")
    assert "CUDA" in line


@pytest.mark.parametrize(
    ("has", "env", "cause"),
    [
        (BOTH, {"STAND_IN_CUDA": "11040"}, "driver 580.00 is too old: it runs CUDA up to 11.4"),
        (BOTH, {"STAND_IN_INIT": "803"}, "driver 580.00 does not start: "),
        (BOTH, {"STAND_IN_CAPABILITY": "5.2"}, "the GPU's compute capability, 5.2, is too old"),
        (BOTH[:1], {}, "libnvidia-ml.so.1 is not found"),
        ((), {}, "libcuda.so.1 is not found"),
    ],
)
def test_a_gpu_that_is_not_used_is_one_line_that_names_the_cause(run, has, env, cause):
    (line,) = run("train", "--steps", "1", "--model", "fast", code=2, has=has, **env).lines
    assert line.startswith("trainer: error: --device auto: a GPU is there (/dev/nvidia0), but ")
    assert cause in line
    assert line.endswith("; or train on the CPU with --device cpu")


def test_a_script_finds_the_libraries_where_nothing_has_linked_them(run):
    """As after a plain `pip install`: by the variable that script mode gives it."""
    variable = (
        "import os; from trainer.runtime import cuda; print(*cuda.search_path(os.environ).values())"
    )
    broken = f"rm {PACKAGES}/nvidia/cublas/lib/libcusolver.so.11; python3 -c '{LIST}'"
    mended = f"export LD_LIBRARY_PATH=$(python3 -c '{variable}'); python3 -c '{LIST}'"
    ran = run("bash", "-c", f"{broken}; {mended}", TF_CPP_MIN_LOG_LEVEL="3")
    assert [line for line in ran.lines if line.isdigit()] == ["0", "1"]


def test_a_library_that_is_missing_is_named(run):
    broken = f"rm {PACKAGES}/nvidia/cudnn/lib/libcudnn.so.9; exec train --steps 1 --model fast"
    (line,) = run("bash", "-c", broken, code=2).lines
    assert "but TensorFlow finds none: library libcudnn.so.9 is not found; " in line


def test_the_driver_is_found_where_nothing_says_where_it_is(run):
    ran = run("bash", "-c", 'unset LD_LIBRARY_PATH; exec python3 -c "$0"', USED)
    assert ran.lines == ["0 True bfloat16"]


def test_doctor_tells_the_same_without_tensorflow(run):
    def told(*argv: str, code: int) -> list[str]:
        return [line for line in run(*argv, code=code).lines if " gpu: " in line]

    (well,) = told("trainer", "doctor", code=0)
    assert well.startswith("ok       gpu: /dev/nvidia0; the driver and all libraries load")
    (line,) = told("bash", "-c", f"rm {PACKAGES}/nvidia/cufft/lib/*; exec trainer doctor", code=1)
    assert line.startswith("problem  gpu: library libcufft.so.11 is not found: ")


def test_without_a_gpu_it_trains_and_warns_or_not_as_it_is_told(run):
    flags = ("train", "--steps", "1", "--model", "fast")
    warned = run(*flags, gpus=0)
    assert warned.lines[0].startswith("trainer: warning: this image is made for GPUs, but none is")
    assert any(line.startswith("device: CPU, ") for line in warned.lines)
    meant = run(*flags, "--device", "cpu")
    assert any(line.startswith("device: CPU, ") for line in meant.lines)
    refused = run(*flags, "--device", "gpu", gpus=0, code=2)
    assert refused.lines[-1].startswith("trainer: error: --device gpu: TensorFlow finds no GPU")
