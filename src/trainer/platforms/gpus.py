"""The GPUs of this host, as device files and variables show them, without NVIDIA's libraries."""

from __future__ import annotations

import re

from trainer.platforms.base import Environment

# The container toolkit reads from the first which GPUs a container gets. The image for GPUs sets it
# to `all`, and says in the second that it did so itself.
VISIBLE, BUILT_FOR = "NVIDIA_VISIBLE_DEVICES", "TRAINER_BUILT_FOR"
_NO_GPU = ("", "void", "none")


def gpu_files(environment: Environment) -> list[str]:
    """Return the device files of GPUs, by name, such as `nvidia0`."""
    files = environment.path("/dev").glob("nvidia[0-9]*")
    return [file.name for file in files if file.name.removeprefix("nvidia").isdecimal()]


def count_gpus(environment: Environment) -> int:
    """Return how many GPUs this host's processes may use."""
    visible = environment.env.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return len(gpu_files(environment))
    # CUDA ignores everything after the first name that is none ("CUDA C++ Programming Guide").
    names = [name.strip() for name in visible.split(",")]
    invalid = (i for i, n in enumerate(names) if not re.match(r"\d+$|GPU-|MIG-", n))
    return next(invalid, len(names))


def gpus_are_hidden(environment: Environment) -> bool:
    """Return whether CUDA_VISIBLE_DEVICES hides all GPUs."""
    return environment.env.get("CUDA_VISIBLE_DEVICES") is not None and not count_gpus(environment)


def gpu_evidence(environment: Environment) -> str | None:
    """Return the file or variable that shows that this host has a GPU, hidden or not, or None."""
    files = gpu_files(environment)
    # The device of Windows' subsystem for Linux.
    files += [name for name in ("dxg",) if (environment.path("/dev") / name).exists()]
    if files:
        return f"/dev/{min(files)}"
    given = environment.env.get(VISIBLE, "")
    by_image = given == "all" and environment.env.get(BUILT_FOR) == "gpu"
    return f"{VISIBLE}={given}" if given not in _NO_GPU and not by_image else None


def missing_gpu_warning(environment: Environment) -> str | None:
    """Return a warning if the image for GPUs runs where there is none; else None."""
    wants = environment.env.get(BUILT_FOR) == "gpu"
    if not wants or environment.env.get(VISIBLE, "") in _NO_GPU or gpu_evidence(environment):
        return None
    return (
        "this image is made for GPUs, but none is here: training on the CPU; to use one, "
        "docker run --gpus all, with NVIDIA's driver and container toolkit on the host"
    )
