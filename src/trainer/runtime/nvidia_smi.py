"""Ask `nvidia-smi`, the program that comes with NVIDIA's driver."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence


class NvidiaSmiError(Exception):
    """`nvidia-smi` failed; the message is what it said, on one line."""


def query_gpus(
    fields: Sequence[str], *, env: Mapping[str, str], seconds: float = 10.0
) -> list[dict[str, str]]:
    """Return some fields of each GPU of this host, by name, or nothing without the program.

    Args:
        fields: Names that `nvidia-smi --help-query-gpu` lists.
        env: The environment whose PATH has the program.
        seconds: How long the program may take; it may have to wake the driver first.

    Raises:
        NvidiaSmiError: It does not answer in time, or knows no such field, or found no driver.
    """
    program = shutil.which("nvidia-smi", path=env.get("PATH", ""))
    if program is None:
        return []
    command = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        ran = subprocess.run(
            command, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NvidiaSmiError(f"no answer within {seconds:g} seconds") from None
    except OSError as error:
        raise NvidiaSmiError(f"{program}: {error.strerror}") from None
    if ran.returncode:
        lines = (ran.stdout + ran.stderr).strip().splitlines()
        raise NvidiaSmiError(lines[0] if lines else f"exit code {ran.returncode}")
    rows = [line.split(", ") for line in ran.stdout.splitlines() if line.strip()]
    return [dict(zip(fields, row, strict=True)) for row in rows if len(row) == len(fields)]
