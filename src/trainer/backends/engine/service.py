"""The jobs of an engine: started, listed, followed, stopped and fetched by their labels."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.backends.backend import Fetched, JobStatus, JobSummary
from trainer.backends.engine.client import ANSWER, Engine
from trainer.backends.engine.container import EngineContainer
from trainer.backends.engine.fetching import fetch_results
from trainer.backends.engine.job import (
    CHIEF,
    GRACE,
    HOST,
    JOB,
    PLACE,
    EngineJob,
    labels_of,
    name_of,
)
from trainer.backends.engine.log_reader import EngineLogReader, stored_lines
from trainer.backends.engine.status import deciding, failure_line, job_status, seconds_of
from trainer.config import UserError

logger = logging.getLogger(__name__)

# The places whose containers stay until somebody removes them.
OWN = ("docker", "compose")
# Lines at the end of a container's output among which the reason of its failure is looked for.
LAST_LINES = 50


class EngineService:
    """The jobs of one engine; see `JobService`.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def checked(self, request: Any) -> Any:
        """See `JobService.checked`: `submit` looks everything up, as nothing is sent before."""
        return request

    def submit(self, request: EngineJob) -> str:
        """Start the containers of a job in the background; none is left if one cannot start."""
        prepare(self.engine, request)
        self.check_name(request.name)
        made: list[str] = []
        try:
            for container in request.containers:
                create(self.engine, container)
                made.append(container.name)
            for name in made:
                self.engine("start", name)
        except BaseException:
            remove(self.engine, made)
            raise
        announce(self.engine, request)
        return request.name

    def check_name(self, name: str) -> None:
        """Raise a UserError if the engine has a job of this name."""
        if self._ids(name):
            raise UserError(
                subject=f"--name {name}",
                problem="the engine has a job of this name",
                remedy=f"choose another, or remove it: {removal(self.engine, name)}",
            )

    def status(self, name: str) -> JobStatus:
        """Return what a job does."""
        containers = self._containers(name)
        status = job_status(containers)
        if status.state != "failed" or status.failure:
            return status
        last = name_of(dict(deciding(containers)))
        lines = [text for _, text in stored_lines(self.engine, last, last=LAST_LINES)]
        return dataclasses.replace(status, failure=failure_line(lines))

    def logs(self, name: str) -> EngineLogReader:
        """Return a reader of a job's lines."""
        containers = self._containers(name)
        several = len(containers) > 1
        return EngineLogReader(
            self.engine,
            {(labels_of(c)[HOST] if several else ""): name_of(c) for c in containers},
        )

    def jobs(self, limit: int) -> Sequence[JobSummary]:
        """Return the newest jobs, newest first."""
        ids = self.engine.ids("ps", "--all", label=JOB)
        by_name: dict[str, list[dict[str, Any]]] = {}
        for container in self.engine.inspect("container", ids):
            by_name.setdefault(labels_of(container)[JOB], []).append(container)
        found = [self._summary(name, containers) for name, containers in by_name.items()]
        return sorted(found, key=lambda job: -job.created)[:limit]

    def stop(self, name: str) -> None:
        """Send SIGTERM to a job's containers, and SIGKILL to those that do not end in time.

        Of a job that `--local` left behind, as it was killed, nothing is kept.
        """
        containers = self._containers(name)
        names = [
            name_of(c) for c in containers if c["State"]["Status"] not in ("exited", "created")
        ]
        grace = max(int(labels_of(c).get(GRACE, "120")) for c in containers)
        if names:
            self.engine("stop", "--time", str(grace), *names, seconds=grace + ANSWER)
        if labels_of(containers[0]).get(PLACE) not in OWN:
            remove_job(self.engine, name)

    def results(self, name: str, folder: Path) -> Sequence[Fetched]:
        """Copy model and report into a folder, each of them whole or not at all."""
        return fetch_results(self.engine, self._containers(name), folder)

    def page(self, name: str) -> str | None:
        """Return None: an engine has no pages."""
        return None

    def _summary(self, name: str, containers: Sequence[Mapping[str, Any]]) -> JobSummary:
        created = [seconds_of(container["Created"]) or 0.0 for container in containers]
        first = containers[0]
        words = [str(first.get("Config", {}).get("Image") or first.get("ImageName", ""))]
        if len(containers) > 1:
            words.append(f"{len(containers)} hosts")
        status, place = job_status(containers), labels_of(dict(first)).get(PLACE, "")
        words += [place if place in OWN else f"{place} --local", status.detail]
        if status.is_over and place not in OWN:
            words.append(f"left by a killed runner: {removal(self.engine, name)}")
        return JobSummary(
            name=name,
            status=status,
            created=min(created),
            detail=", ".join(filter(None, words)),
        )

    def _ids(self, name: str) -> list[str]:
        return self.engine.ids("ps", "--all", label=f"{JOB}={name}")

    def _containers(self, name: str) -> list[dict[str, Any]]:
        """Return what the engine says of the containers of a job, the chief's first."""
        found = self.engine.inspect("container", self._ids(name))
        if not found:
            raise UserError(
                subject=name,
                problem="the engine has no job of this name",
                remedy="see trainer jobs list --on docker",
            )
        return sorted(found, key=lambda c: (CHIEF not in labels_of(c), labels_of(c).get(HOST, "")))


def prepare(engine: Engine, job: EngineJob) -> None:
    """Get the image and make the folders of a job.

    Raises:
        UserError: There is no engine or image, or a folder cannot be made.
    """
    images = {container.image for container in job.containers}
    for image in sorted(images):
        there = engine.succeeds("image", "inspect", image)
        if not there:
            # Tells an engine that does not answer from an image that is not there.
            engine("version")
        if job.pull == "always" or (job.pull == "missing" and not there):
            _pull(engine, image)
        elif not there:
            raise UserError(
                subject=f"--image {image}",
                problem="the engine has no such image, and --pull never keeps it from pulling",
                remedy="build it (make image), load it (docker load), or leave --pull out",
            )
    for folder in job.folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(subject=folder, problem=f"cannot be made: {error.strerror}") from None


def _pull(engine: Engine, image: str) -> None:
    logger.info("pulling %s", image)
    try:
        engine("pull", "--quiet", image, seconds=None)
    except UserError as error:
        if not error.subject.endswith(" pull"):
            raise
        raise UserError(
            subject=f"--image {image}",
            problem=f"it cannot be pulled: {error.problem}",
            remedy="build it (make image), load it (docker load), or name another",
        ) from None


def create(engine: Engine, container: EngineContainer) -> None:
    """Create a container without starting it; its image has to be there."""
    options = [word for words in container.options() for word in words]
    argv = ("create", *options, "--pull", "never", container.image, *container.start.argv)
    engine(*argv, secrets=container.secrets)


def remove(engine: Engine, containers: Sequence[str]) -> None:
    """Remove containers with their own volumes, running or not; pass over those that are gone."""
    for name in containers:
        engine.succeeds("rm", "--force", "--volumes", name)


def remove_job(engine: Engine, name: str) -> None:
    """Remove the containers, networks and volumes of a job."""
    label = f"{JOB}={name}"
    remove(engine, engine.ids("ps", "--all", label=label))
    for kind in ("network", "volume"):
        for each in engine.ids(kind, "ls", label=label):
            engine.succeeds(kind, "rm", each)


def removal(engine: Engine, name: str) -> str:
    """Return the command that removes the containers of a job that has ended."""
    client = Path(engine.client).name
    command = f"{client} rm $({client} ps -aq --filter label={JOB}={name})"
    networks = engine.ids("network", "ls", label=f"{JOB}={name}")
    # Podman writes the key in small letters.
    named = [each.get("Name") or each["name"] for each in engine.inspect("network", networks)]
    return f"{command} && {client} network rm {' '.join(named)}" if named else command


def announce(engine: Engine, job: EngineJob) -> None:
    """Log where a job that has started writes to, and what stays of it when it has ended."""
    for folder in dict.fromkeys(job.folders):
        logger.info("writes to %s", folder)
    logger.info(
        "its containers stay when it has ended; to remove them: %s", removal(engine, job.name)
    )
