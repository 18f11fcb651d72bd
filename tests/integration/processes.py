"""Running the program as its users and platforms do: real processes and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
import warm

# In CI a test that cannot import it fails.
needs_horovod = pytest.mark.skipif(
    find_spec("horovod") is None and not os.environ.get("CI"),
    reason="needs Horovod: make horovod builds it",
)
TRAINER = [sys.executable, "-u", "-m", "trainer"]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what a platform would set, and with `extra`."""
    prefixes = ("SM_", "SAGEMAKER_", "TRAINING_JOB", "AIP_", "CLOUD_ML_")
    prefixes += ("TF_CONFIG", "CLUSTER_SPEC", "JOB_COMPLETION_INDEX", "KUBERNETES_SERVICE_HOST")
    plain = {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
    return plain | dict(extra or {})


def trainer(
    *argv: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess:
    """Run the program to its end."""
    return run([*TRAINER, *argv], env=environment(env), cwd=cwd, timeout=timeout)


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess:
    """Run a command that imports TensorFlow to its end."""
    with warm.Popen(
        argv,
        env=env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            printed = process.communicate(timeout=timeout)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, *printed)


def signal_at(
    argv: Sequence[str],
    line: str,
    number: signal.Signals,
    *,
    again_at: str | None = None,
    env: Mapping[str, str] | None = None,
) -> tuple[int, list[str]]:
    """Run a command until it prints a line that begins so, then send it a signal.

    Args:
        argv: The command.
        line: How the line begins.
        number: The signal.
        again_at: Send the signal once more at the next line that begins so.
        env: Added to the environment.

    Returns:
        Its exit code, and the lines that it printed.
    """
    lines = []
    waited = [start for start in (line, again_at) if start is not None]
    with subprocess.Popen(
        argv, env=environment(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for printed in process.stdout:
            lines.append(printed.rstrip("\n"))
            if waited and printed.startswith(waited[0]):
                process.send_signal(number)
                waited.pop(0)
        if waited:
            pytest.fail(f"it ended without printing {waited[0]!r}: {lines}")
        return process.wait(timeout=60), lines


def weights(model_dir: Path, version: int = 1) -> bytes:
    """The weights of an exported model."""
    return (model_dir / str(version) / "variables/variables.data-00000-of-00001").read_bytes()
