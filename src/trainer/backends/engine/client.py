"""An engine's command-line client: Docker's or Podman's, whichever is on PATH."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.backends.engine.problems import engine_error
from trainer.config import RetryableError, UserError

logger = logging.getLogger(__name__)

CLIENTS = ("docker", "podman")
# Seconds for a request that starts nothing and copies nothing.
ANSWER = 60.0


class Engine:
    """A container engine, asked through its client.

    The client knows where the engine is (DOCKER_HOST, contexts) and who may use it.

    Args:
        client: The program.
    """

    def __init__(self, client: str) -> None:
        self.client = client

    def __call__(
        self,
        *argv: str,
        data: bytes | None = None,
        seconds: float | None = ANSWER,
        secrets: Mapping[str, str] | None = None,
    ) -> str:
        """Run one command of the client, and return what it prints.

        Args:
            argv: Its arguments.
            data: Its standard input.
            seconds: How long it may take; None for no limit.
            secrets: Variables that its arguments name without their values.

        Raises:
            UserError: It fails.
            RetryableError: It takes longer than it may.
        """
        logger.debug("%s %s", self.client, argv[0])
        ran = self._run(argv, data=data, seconds=seconds, secrets=secrets)
        if ran.returncode:
            text = (ran.stderr or ran.stdout).decode(errors="replace")
            raise engine_error(text, subject=f"{self.client} {argv[0]}")
        return ran.stdout.decode(errors="replace")

    def succeeds(self, *argv: str) -> bool:
        """Run one command of the client, and return whether it ends well."""
        return self._run(argv, seconds=ANSWER).returncode == 0

    def printed(self, name: str, *, lines: int) -> list[str]:
        """Return what a container printed last, to standard error, or else to standard output."""
        ran = self._run(("logs", "--tail", str(lines), name), seconds=ANSWER)
        return (ran.stderr or ran.stdout).decode(errors="replace").splitlines()

    def inspect(self, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the descriptions of some containers, networks or images.

        Args:
            kind: `container`, `network` or `image`.
            names: Their names or ids; none that is gone.
        """
        if not names:
            return []
        found: list[dict[str, Any]] = json.loads(self(kind, "inspect", *names))
        return found

    def ids(self, *command: str, label: str) -> list[str]:
        """Return what a listing command finds with a label: `("ps", "--all")`, `("network", "ls")`.

        Args:
            command: The command.
            label: `NAME` or `NAME=VALUE`.
        """
        return self(*command, "--quiet", "--filter", f"label={label}").split()

    def _run(
        self,
        argv: Sequence[str],
        *,
        data: bytes | None = None,
        seconds: float | None,
        secrets: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        # A session of its own: Ctrl-C is for this process, which then asks the engine to stop.
        try:
            return subprocess.run(
                [self.client, *argv],
                input=data,
                stdin=subprocess.DEVNULL if data is None else None,
                capture_output=True,
                timeout=seconds,
                env={**os.environ, **secrets} if secrets else None,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise RetryableError(
                f"{self.client} {argv[0]}: the engine has not answered for {seconds:g} s"
            ) from None
        except OSError as error:
            raise UserError(subject=self.client, problem=error.strerror or str(error)) from None


def find_engine(named: str | None = None) -> Engine:
    """Return the engine whose client is on PATH.

    Args:
        named: The client that the user wants, a name or path.

    Raises:
        UserError: There is none.
    """
    for name in [named] if named else CLIENTS:
        found = shutil.which(name)
        if found:
            return Engine(found)
    if named:
        raise UserError(subject=f"DOCKER={named}", problem="no such program")
    raise UserError(
        subject="docker",
        problem="neither docker nor podman is on PATH",
        remedy="install one of them, or name the client with DOCKER=PATH",
    )
