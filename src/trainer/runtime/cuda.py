"""NVIDIA's driver and libraries, and the reasons for which TensorFlow may find no GPU.

TensorFlow opens a list of libraries if it finds a driver. If one of them is missing, it lists no
GPU, and its log says nothing at the usual levels. Here ctypes opens the same libraries, in a
fraction of a second and without TensorFlow, to name the one that is missing.

    python -m trainer.runtime.cuda             a line for each cause
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.runtime import output
from trainer.runtime.versions import install_command

DRIVER = "libcuda.so.1"
MANAGEMENT = "libnvidia-ml.so.1"
# The libraries that TensorFlow 2.21 opens, each with the folder of NVIDIA's wheel that has it.
# Those that others need come first.
LIBRARIES = {
    "libcudart.so.12": "cuda_runtime",
    "libcublasLt.so.12": "cublas",
    "libcublas.so.12": "cublas",
    "libcufft.so.11": "cufft",
    "libcusparse.so.12": "cusparse",
    "libcusolver.so.11": "cusolver",
    "libcudnn.so.9": "cudnn",
}
# The library that TensorFlow 2.21 does not look for in its wheel's folder, and where it looks.
UNSEARCHED, SEARCHED = "libcusolver.so.11", "cublas"
# Where images, the container toolkit, Kubernetes' services and distributions put the driver.
DRIVER_FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/nvidia/lib64",
    "/usr/local/nvidia/lib",
    "/usr/lib/wsl/lib",
)
# Any driver for CUDA 12 runs code built with CUDA 12 ("CUDA compatibility", minor versions).
OLDEST_CUDA, OLDEST_DRIVER = 12000, "525.60.13"

CAPABILITIES = "set NVIDIA_DRIVER_CAPABILITIES=compute,utility when starting the container"
PACKAGES = f"use the trainer's image for GPUs, or {install_command('gpu')}"
TOOLKIT = "docker run --gpus all, with NVIDIA's driver and container toolkit on the host"


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One reason why TensorFlow lists no GPU.

    Attributes:
        text: What is wrong.
        remedy: What to do about it.
    """

    text: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Driver:
    """NVIDIA's driver.

    Attributes:
        release: NVIDIA's number of the release; None if unknown.
        cuda: The newest CUDA that it runs, 12040 for 12.4; None if unknown.
        failure: The error with which the driver failed to start, or nothing.
    """

    release: str | None = None
    cuda: int | None = None
    failure: str = ""


def causes() -> list[Cause]:
    """Find what keeps TensorFlow from listing a GPU that is there, the first cause first."""
    if built_with_cuda() is False:
        return [Cause(text="the TensorFlow that is installed is made for CPUs", remedy=PACKAGES)]
    if _failure(DRIVER):
        text = f"the driver's {DRIVER} is not found"
        return [Cause(text=text, remedy=f"{TOOLKIT}; {CAPABILITIES}")]
    found = driver_causes()
    if _failure(MANAGEMENT):
        text = f"{MANAGEMENT} is not found, which comes with the driver's capability `utility`"
        found.append(Cause(text=text, remedy=CAPABILITIES))
    for name in LIBRARIES:
        failure = _failure(name)
        if failure:
            missing = failure.startswith(f"{name}: cannot open shared object file")
            text = f"library {name} is not found" if missing else f"library {name}: {failure}"
            found.append(Cause(text=text, remedy=PACKAGES))
    return found


def driver_causes() -> list[Cause]:
    """Find what is wrong with a driver that is there."""
    there = driver()
    release = f"driver {there.release}" if there.release else "the driver"
    if there.cuda is not None and there.cuda < OLDEST_CUDA:
        text = f"{release} is too old: it runs CUDA up to {cuda_version(there.cuda)}"
        return [Cause(text=text, remedy=f"install driver {OLDEST_DRIVER} or newer")]
    if there.failure:
        remedy = "see nvidia-smi on the host; after an update of the driver, start it anew"
        return [Cause(text=f"{release} does not start: {there.failure}", remedy=remedy)]
    return []


def driver() -> Driver:
    """Ask the driver for its release, its CUDA and its state."""
    cuda, failure, release = ctypes.c_int(), "", None
    try:
        library = _open(DRIVER)
        if library.cuDriverGetVersion(ctypes.byref(cuda)):
            cuda.value = 0
        code = library.cuInit(0)
        if code:
            text = ctypes.c_char_p()
            library.cuGetErrorString(code, ctypes.byref(text))
            failure = f"{(text.value or b'an error').decode(errors='replace')} (CUDA error {code})"
    except (OSError, AttributeError) as error:
        failure = str(error)
    try:
        management = _open(MANAGEMENT)
        answer = ctypes.create_string_buffer(96)
        if not management.nvmlInit_v2():
            if not management.nvmlSystemGetDriverVersion(answer, ctypes.c_uint(len(answer))):
                release = answer.value.decode(errors="replace")
            management.nvmlShutdown()
    except (OSError, AttributeError):
        pass
    return Driver(release=release, cuda=cuda.value or None, failure=failure)


def cuda_version(number: int) -> str:
    """Return a version as NVIDIA writes it, `12.4` for 12040."""
    return f"{number // 1000}.{number % 1000 // 10}"


def preload() -> None:
    """Open the library that TensorFlow would not find; one that is open it finds by its name.

    Call it before TensorFlow is imported. It does nothing without a driver.
    """
    if not any(map(_failure, (DRIVER, MANAGEMENT))) and unlinked():
        _failure(UNSEARCHED)


def unlinked() -> Path | None:
    """Return the folder of cuSOLVER's wheel if TensorFlow does not find the library there."""
    for packages in _wheels():
        folder = packages / LIBRARIES[UNSEARCHED] / "lib"
        if (folder / UNSEARCHED).exists():
            return None if (packages / SEARCHED / "lib" / UNSEARCHED).exists() else folder
    return None


def search_path(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which a user's program finds all libraries.

    Args:
        env: The environment of the program.
    """
    folder = unlinked()
    if folder is None:
        return {}
    # Appended, so that no other library is found there first.
    folders = [*filter(None, [env.get("LD_LIBRARY_PATH")]), str(folder)]
    return {"LD_LIBRARY_PATH": os.pathsep.join(folders)}


def built_with_cuda() -> bool | None:
    """Return whether the TensorFlow that is installed can use a GPU, without importing it."""
    spec = importlib.util.find_spec("tensorflow")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder, "python/platform/build_info.py")
        if file.exists():
            match = re.search(r"'is_cuda_build', (True|False)", file.read_text())
            return match[1] == "True" if match else None
    return None


def _wheels() -> list[Path]:
    spec = importlib.util.find_spec("nvidia")
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []


def _open(name: str) -> ctypes.CDLL:
    """Open a library: by its name, as TensorFlow does, else in the folders where it may be.

    Raises:
        OSError: The library, or another one that it needs, is missing.
    """
    if name in LIBRARIES:
        folders = [packages / LIBRARIES[name] / "lib" for packages in _wheels()]
    else:
        folders = [Path(folder) for folder in DRIVER_FOLDERS]
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        for folder in folders:
            if (folder / name).exists():
                return ctypes.CDLL(str(folder / name))
        raise error


def _failure(name: str) -> str:
    """Return the error for which a library cannot be opened, or nothing."""
    try:
        _open(name)
    except OSError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    for cause in causes():
        output.out(f"{cause.text}; {cause.remedy}")
