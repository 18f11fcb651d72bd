"""Installing what a user's code needs, beside a server that listens already.

What runs pip hears signals, for which it needs the main thread of a process of its own:

    python -m trainer.serving.user_code.requirements FOLDER

That process answers on its standard output with one line if it fails; pip's lines go to standard
error.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from trainer.config import UserError
from trainer.launch import pip
from trainer.runtime import StoppedError, log, output

PIP_SECONDS = 600.0
TICK = 0.5  # seconds between looks at whether to stop
# pip gets 5 s to end.
STOP_SECONDS = 8.0


def install(folder: Path, *, stopped: Callable[[], bool]) -> None:
    """Install what a folder's `requirements.txt` lists.

    Args:
        folder: Where it is.
        stopped: Asked again and again whether to give up.

    Raises:
        UserError: pip failed.
        StoppedError: `stopped` said so.
    """
    command = [sys.executable, "-P", "-m", __name__, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = _wait(process, stopped)
    if said is None:
        raise StoppedError(f"{folder}: told to stop while pip ran")
    if process.returncode:
        if said.strip():
            raise UserError.from_text(said.strip())
        raise UserError(subject=folder / pip.REQUIREMENTS, problem="pip could not be run")
    # What is new in folders that have been looked at already.
    importlib.invalidate_caches()


def _wait(process: subprocess.Popen[str], stopped: Callable[[], bool]) -> str | None:
    """What a process says until it ends; None if it has been told to stop."""
    while not stopped():
        try:
            return process.communicate(timeout=TICK)[0]
        except subprocess.TimeoutExpired:
            continue
    process.terminate()
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    return None


def main() -> int:
    """Run pip; the exit code."""
    output.begin(os.environ, sys.argv)
    log.begin()
    answer = os.dup(1)
    os.dup2(2, 1)
    try:
        pip.install(
            [], folder=Path(sys.argv[1]), env=os.environ, python=sys.executable,
            timeout=PIP_SECONDS,
        )  # fmt: skip
    except UserError as error:
        os.write(answer, output.clean(str(error)).encode())
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
