"""The container engine of this machine, by its client."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence

from trainer.config import UserError

CLIENTS = ("docker", "podman")
# Seconds for a call; a run may have to pull an image.
SECONDS, PULL_SECONDS = 60.0, 3600.0
# What a client says in an error, and what to do.
_REMEDIES: Mapping[str, str] = {
    "Cannot connect to the Docker daemon": "start the engine, or set DOCKER_HOST",
    "permission denied while trying to connect": "let this user use the engine: group docker",
    "port is already allocated": "give another --port",
    "address already in use": "give another --port",
    "is already in use by container": "give another --name",
    "could not select device driver": "install NVIDIA's container toolkit, or leave --gpus out",
    "pull access denied": "build the image with make image, or name one with --image",
    "No such image": "build the image with make image, or name one with --image",
    "manifest unknown": "name an image that is there with --image",
    "not found": "name an image that is there with --image",
}


class ContainerEngine:
    """Calls docker, or podman where that is what is installed.

    Args:
        client: The program; by default the first of `CLIENTS` that is there.

    Raises:
        UserError: There is none.
    """

    def __init__(self, client: str | None = None) -> None:
        found = client or next((each for each in CLIENTS if shutil.which(each)), None)
        if found is None:
            raise UserError(
                subject="--to docker", problem="there is no docker or podman on this machine",
                remedy="install Docker Engine",
            )  # fmt: skip
        self.client = found

    def call(self, *argv: str, subject: str, timeout: float = SECONDS) -> str:
        """Run one command, and return what it printed.

        Raises:
            UserError: It failed, or took too long.
        """
        code, out, err = self.run(argv, subject=subject, timeout=timeout)
        if code:
            raise UserError(subject=subject, problem=_problem(err), remedy=_remedy(err))
        return out

    def run(
        self, argv: Sequence[str], *, subject: str, timeout: float = SECONDS
    ) -> tuple[int, str, str]:
        """Run one command, and return its exit code, output and errors."""
        try:
            ran = subprocess.run(
                [self.client, *argv], capture_output=True, text=True, errors="replace",
                timeout=timeout, check=False, start_new_session=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            problem = f"{self.client} {argv[0]} gave no answer within {timeout:g} s"
            raise UserError(subject=subject, problem=problem) from None
        except OSError as error:
            raise UserError(subject=self.client, problem=f"{error.strerror or error}") from None
        return ran.returncode, ran.stdout.strip(), ran.stderr.strip()


def _problem(err: str) -> str:
    """Return the line of an error that says what is wrong."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Run 'docker", "See 'docker"))]
    return lines[-1].removeprefix("docker: ").rstrip(".")[:400] if lines else "no reason is given"


def _remedy(err: str) -> str | None:
    return next((remedy for words, remedy in _REMEDIES.items() if words in err), None)
