"""Warn the user of a script that TensorFlow will not find the GPU that is there.

The trainer itself exits if it cannot use a GPU. A script may not want one, so it is only a warning.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from trainer.platforms import Environment, gpu_evidence, gpus_are_hidden

# Seconds for NVIDIA's driver to answer.
SECONDS = 20.0


def gpu_warning(
    environment: Environment, env: Mapping[str, str], *, python: str = sys.executable
) -> str | None:
    """Return why TensorFlow in a script would find no GPU; None if there is nothing to say.

    Args:
        environment: What the platform gives, which may mention a GPU.
        env: The environment of the script.
        python: Its interpreter.
    """
    sign = gpu_evidence(environment)
    if sign is None or gpus_are_hidden(environment):
        return None
    # In a process of its own: it has the script's environment, and releases the driver at its end.
    argv = [python, "-P", "-m", "trainer.runtime.cuda"]
    try:
        ran = subprocess.run(
            argv, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    causes = ran.stdout.splitlines()
    there = f"a GPU is there ({sign}), but TensorFlow will not find it"
    return f"{there}: {causes[0]}" if causes else None
