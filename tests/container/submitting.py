"""The command line as a person calls it, in a folder of their own."""

import os
import subprocess
import sys
from pathlib import Path

from containers import DEADLINE, Engine


class Trainer:
    """Runs the command line.

    Args:
        image: The image of the jobs.
        folder: Where it runs.
    """

    def __init__(self, image: str, folder: Path) -> None:
        self.image, self.folder = image, folder

    def __call__(self, *argv: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            [sys.executable, "-m", "trainer", *argv], cwd=self.folder, env={**os.environ, **env},
            capture_output=True, text=True, check=False, timeout=DEADLINE,
        )  # fmt: skip
        assert ran.returncode == code, f"{argv}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def submit(self, place: str, *argv: str, code: int = 0, **env: str):
        return self("submit", "--to", place, "--image", self.image, *argv, code=code, **env)


def everything(engine: Engine, name: str) -> list[str]:
    """What the engine has of a job: containers, networks, volumes."""
    label = f"label=trainer.job={name}"
    lists = (("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q"))
    return [each for words in lists for each in engine(*words, "--filter", label).stdout.split()]


def error(ran: subprocess.CompletedProcess[str]) -> str:
    """The one line that says what is wrong."""
    (line,) = [x for x in ran.stderr.splitlines() if x.startswith("trainer: error: ")]
    assert "Traceback" not in ran.stderr
    return line.removeprefix("trainer: error: ")
