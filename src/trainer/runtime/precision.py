"""The arithmetic that a device has in hardware, which is what `--precision` is where nobody says.

float16 and bfloat16 are fast only where there are instructions for them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

# Keras' name of each.
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
# For nvidia-smi, which may have to wake the driver first.
_SECONDS = 10.0


def of_gpu(capability: float) -> str:
    """Return the fastest on a GPU: bfloat16 from Ampere (8.0) on, float16 from Volta (7.0) on."""
    return "bfloat16" if capability >= 8 else "float16" if capability >= 7 else "float32"


def of_processor(flags: Collection[str]) -> str:
    """Return the fastest on a processor with these feature flags."""
    return "bfloat16" if BF16_FLAGS & set(flags) else "float32"


def processor_flags() -> set[str]:
    """Return the feature flags of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    named = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return set(next(named, "").split())


def of_host(*, gpus: int, env: Mapping[str, str]) -> str | None:
    """Return the default of a process on this host, found without TensorFlow.

    Args:
        gpus: How many GPUs the process may use.
        env: The environment in which `nvidia-smi` is looked for.

    Returns:
        The precision, or None where there are GPUs and nothing says of which generation.
    """
    if not gpus:
        return of_processor(processor_flags())
    argv = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        ran = subprocess.run(
            argv, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_SECONDS, check=True,
        )  # fmt: skip
        capabilities = [float(line) for line in ran.stdout.split()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    # Whichever of them the process gets.
    found = {of_gpu(capability) for capability in capabilities}
    return found.pop() if len(found) == 1 else None
