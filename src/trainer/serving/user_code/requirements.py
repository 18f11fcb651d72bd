"""Installing what the user's code needs, beside a server that listens already.

The function that runs pip handles signals, which Python allows in a main thread only. The server's
main thread is busy, so pip is run by a process of its own:

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
# Longer than the 5 s that `launch.pip` gives pip to end.
STOP_SECONDS = 8.0


def install(folder: Path, *, stopped: Callable[[], bool]) -> None:
    """Install what a folder's `requirements.txt` lists.

    Args:
        folder: Where it is.
        stopped: Called again and again; True gives up.

    Raises:
        UserError: pip failed.
        StoppedError: `stopped` returned True.
    """
    command = [sys.executable, "-P", "-m", __name__, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        problem = _wait(process, stopped)
    if problem is None:
        raise StoppedError(f"{folder}: told to stop while pip ran")
    if process.returncode:
        if problem.strip():
            raise UserError.from_text(problem.strip())
        raise UserError(subject=folder / pip.REQUIREMENTS, problem="pip could not be run")
    # Python remembers the contents of folders that it has searched.
    importlib.invalidate_caches()


def _wait(process: subprocess.Popen[str], stopped: Callable[[], bool]) -> str | None:
    """Return what a process writes until it ends; None if `stopped` returned True before."""
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
    """Run pip.

    Returns:
        The exit code: 2 if pip failed.
    """
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
