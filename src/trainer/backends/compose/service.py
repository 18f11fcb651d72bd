"""Jobs that Compose starts; all else is the engine's own."""

from __future__ import annotations

import os
import shutil
import subprocess

from trainer.backends.compose.file import ComposeFile
from trainer.backends.engine.client import Engine
from trainer.backends.engine.problems import engine_error
from trainer.backends.engine.service import EngineService, announce, prepare, remove_job
from trainer.config import RetryableError, UserError

# Seconds for all containers of a job to be created and started.
START = 600.0


class ComposeService(EngineService):
    """The jobs of one engine, new ones started by Compose; see `JobService`."""

    def submit(self, request: ComposeFile) -> str:  # type: ignore[override]
        """Start the services of a file in the background; nothing is left if one cannot start."""
        if request.several_machines:
            raise UserError(
                subject="--addresses",
                problem="this machine starts no services on others",
                remedy="print the file (--print yaml), and start each service where it belongs",
            )
        compose = compose_command(self.engine)
        prepare(self.engine, request.job)
        self.check_name(request.job.name)
        try:
            self._up(compose, request)
        except BaseException:
            remove_job(self.engine, request.job.name)
            raise
        announce(self.engine, request.job)
        return request.job.name

    def _up(self, compose: list[str], request: ComposeFile) -> None:
        argv = [*compose, "-p", request.job.name, "-f", "-", "up", "--detach"]
        try:
            ran = subprocess.run(
                argv,
                input=request.text().encode(),
                capture_output=True,
                timeout=START,
                env={**os.environ, **request.secrets},
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise RetryableError(f"{compose[0]}: has not started all for {START:g} s") from None
        if ran.returncode:
            text = (ran.stderr or ran.stdout).decode(errors="replace")
            raise engine_error(text, subject=" ".join(compose))


def compose_command(engine: Engine) -> list[str]:
    """Return the program that reads compose files: the client's plugin, or one by itself.

    Raises:
        UserError: There is none.
    """
    if engine.succeeds("compose", "version"):
        return [engine.client, "compose"]
    found = shutil.which("docker-compose") or shutil.which("podman-compose")
    if found:
        return [found]
    raise UserError(
        subject="docker compose",
        problem="neither this plugin nor docker-compose is installed",
        remedy="install it (apt-get install docker-compose), or print the file with --print yaml",
    )
