"""What to tell whose script would not find the GPU that is there.

The trainer itself ends where it cannot use a GPU. A script may not want one: it is only warned.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from trainer.platforms import Environment, gpu_evidence, gpus_are_hidden

# For NVIDIA's driver to answer.
SECONDS = 20.0


def gpu_warning(
    environment: Environment, env: Mapping[str, str], *, python: str = sys.executable
) -> str | None:
    """Return why TensorFlow in a script would find no GPU; None if there is nothing to say.

    Args:
        environment: What says that there is a GPU.
        env: The environment of the script.
        python: Its interpreter.
    """
    sign = gpu_evidence(environment)
    if sign is None or gpus_are_hidden(environment):
        return None
    # A process of its own has the script's environment, and lets go of the driver again.
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
