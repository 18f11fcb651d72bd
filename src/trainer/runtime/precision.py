"""The default of `--precision`: the fastest arithmetic that a device has in hardware.

bfloat16 on GPUs of compute capability 8.0 (Ampere) and up and on processors with instructions for
it, float16 on GPUs from 7.0 (Volta) on, else float32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from trainer.runtime.nvidia_smi import NvidiaSmiError, query_gpus
from trainer.runtime.processor import read_processor

# Keras' name of each.
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def of_gpu(capability: float) -> str:
    """Return the default on a GPU of a compute capability, such as 8.0."""
    return "bfloat16" if capability >= 8 else "float16" if capability >= 7 else "float32"


def of_processor(flags: Collection[str]) -> str:
    """Return the default on a processor with these feature flags."""
    return "bfloat16" if BF16_FLAGS & set(flags) else "float32"


def of_gpus(gpus: Collection[Mapping[str, str]]) -> str | None:
    """Return the default on each of some GPUs, or None if it is unknown or differs.

    Args:
        gpus: The GPUs, each with the field `compute_cap` of `nvidia-smi`.
    """
    try:
        found = {of_gpu(float(gpu.get("compute_cap", ""))) for gpu in gpus}
    except ValueError:
        return None
    return found.pop() if len(found) == 1 else None


def of_host(*, gpus: int, env: Mapping[str, str]) -> str | None:
    """Return the default of a process on this host, found without TensorFlow.

    Args:
        gpus: How many GPUs the process may use.
        env: The environment in which `nvidia-smi` is looked for.

    Returns:
        The precision, or None where there are GPUs and their generation is unknown.
    """
    if not gpus:
        return of_processor(read_processor().flags)
    try:
        return of_gpus(query_gpus(("compute_cap",), env=env))
    except NvidiaSmiError:
        return None


def default_precision(tf: Any) -> str:
    """Return the default of this process.

    Args:
        tf: TensorFlow, with the GPUs chosen.
    """
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability")
        return of_gpu(float("{}.{}".format(*capability)) if capability else 0.0)
    return of_processor(read_processor().flags)
