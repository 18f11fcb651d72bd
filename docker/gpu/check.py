#!/usr/bin/env python3
"""Check, in the image for GPUs and without one, that everything finds NVIDIA's libraries.

    LD_LIBRARY_PATH=FOLDER python3 check.py

FOLDER holds the stand-ins for the driver (libcuda.c, libnvidia-ml.c), with which TensorFlow opens
every library that it opens for a GPU. One line for each check; 1 if one of them fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

PACKAGES = Path(sysconfig.get_path("purelib"))
NVIDIA = PACKAGES / "nvidia"
WANTED = ("cudart", "cublas", "cublasLt", "cufft", "cusolver", "cusparse", "cudnn")
LIST = "import tensorflow as tf; print(*(d.name for d in tf.config.list_physical_devices()))"
# One after the other, as a library is found by name once it is loaded.
OPEN = """
import ctypes, sys
for path in sys.argv[1:]:
    try: ctypes.CDLL(path)
    except OSError as error: print(error)
"""
HOROVOD = """
import horovod.tensorflow as hvd
print("NCCL" if hvd.nccl_built() and hvd.cuda_built() else "no NCCL",
      "MPI" if hvd.mpi_built() else "no MPI")
"""
OURS = """
from trainer.runtime import import_tensorflow
print(*(d.name for d in import_tensorflow(start=False).config.list_physical_devices()))
"""
# The oldest and the newest generations that XLA compiles for in these years.
PTX = """
.version 8.0
.target sm_{0}
.address_size 64
.visible .entry nothing() {{ ret; }}
"""


def main() -> int:
    """Run every check.

    Returns:
        The exit code.
    """
    checks: dict[str, Callable[[], str]] = {
        "python3": lambda: gpu(sys.executable, "-c", LIST),
        "mpirun": lambda: gpu("mpirun", "-n", "1", sys.executable, "-c", LIST),
        "trainer": lambda: gpu(sys.executable, "-c", OURS),
        "TensorFlow's libraries": opened_by_tensorflow,
        "NVIDIA's libraries": opened_by_path,
        "Horovod": horovod,
        "XLA": compiled,
    }
    failed = 0
    for name, check in checks.items():
        problem = check()
        failed += bool(problem)
        print(f"gpu check: {name}: {problem or 'ok'}", flush=True)
    return 1 if failed else 0


def run(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        argv, env={**os.environ, **env}, capture_output=True, text=True, timeout=300, check=False
    )


def ended(ran: subprocess.CompletedProcess[str]) -> str:
    """Say how a program failed; nothing if it did not."""
    if not ran.returncode:
        return ""
    last = (ran.stderr.strip() or ran.stdout.strip() or "nothing").splitlines()[-1]
    return f"exit code {ran.returncode}: {last}"


def gpu(*argv: str) -> str:
    """Look whether TensorFlow in a process of its own lists the GPU."""
    ran = run(*argv, TF_CPP_MIN_LOG_LEVEL="3")
    found = ran.stdout.strip()
    wrong = "" if "/physical_device:GPU:0" in found else f"TensorFlow lists {found or 'nothing'}"
    return ended(ran) or wrong


def opened_by_tensorflow() -> str:
    """Look which libraries TensorFlow opens, and which it does not find."""
    ran = run(sys.executable, "-c", LIST, TF_CPP_MIN_LOG_LEVEL="0", TF_CPP_MAX_VLOG_LEVEL="1")
    missing = re.findall(r"Could not load dynamic library '([^']+)'", ran.stderr)
    opened = set(re.findall(r"Successfully opened dynamic library lib([\w-]+)\.so", ran.stderr))
    # The first one that is missing is not the last that TensorFlow would open.
    missing += [f"lib{name}" for name in WANTED if name not in opened and not missing]
    return ended(ran) or ("not found: " + ", ".join(dict.fromkeys(missing)) if missing else "")


def opened_by_path() -> str:
    """Look whether each library of NVIDIA's finds what it needs itself."""
    # The one insists on a file of settings that names another BLAS.
    paths = [str(p) for p in sorted(NVIDIA.glob("*/lib/*.so*")) if "nvblas" not in p.name]
    if not paths:
        return f"no library in {NVIDIA}"
    # A library must not find what another one has loaded before.
    for path in paths:
        ran = run(sys.executable, "-c", OPEN, path)
        if ended(ran) or ran.stdout:
            return ended(ran) or ran.stdout.strip()
    return ""


def horovod() -> str:
    """Look whether Horovod loads, with NCCL and MPI."""
    ran = run(sys.executable, "-c", HOROVOD, TF_CPP_MIN_LOG_LEVEL="3")
    found = ran.stdout.strip()
    return ended(ran) or ("" if found == "NCCL MPI" else f"built with {found}")


def compiled() -> str:
    """Look whether ptxas and libdevice are where TensorFlow's XLA looks for them, and work."""
    toolkit = NVIDIA / "cuda_nvcc"
    for file in ("bin/ptxas", "nvvm/libdevice/libdevice.10.bc"):
        if not (toolkit / file).is_file():
            return f"{toolkit / file}: not found"
    with tempfile.TemporaryDirectory() as folder:
        for generation in (70, 90):
            source = Path(folder, "kernel.ptx")
            source.write_text(PTX.format(generation))
            argv = (f"-arch=sm_{generation}", str(source), "-o", str(source.with_suffix(".cubin")))
            problem = ended(run(str(toolkit / "bin/ptxas"), *argv))
            if problem:
                return f"ptxas: {problem}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
