"""`--to docker`: one container on this machine's engine."""

from __future__ import annotations

import json
import logging
import shlex
from typing import Any

from trainer.backends.backend import Backend
from trainer.backends.docker.options import DockerOptions, check_name
from trainer.backends.docker.paths import ContainerPaths, container_paths, with_users_mounts
from trainer.backends.engine.client import find_engine
from trainer.backends.engine.container import EngineContainer
from trainer.backends.engine.job import EngineJob, job_labels
from trainer.backends.engine.request import api_request
from trainer.backends.engine.service import EngineService
from trainer.config import Job, UserError
from trainer.platforms import SECRET_VARIABLE, ContainerStart, Submission
from trainer.runtime import MASK

logger = logging.getLogger(__name__)
IMAGE, GPU_IMAGE = "trainer:cpu", "trainer:gpu"


def request(submission: Submission, options: DockerOptions) -> EngineJob:
    """Return the job as one container.

    Raises:
        UserError: It needs several, or a path is not there.
    """
    others = submission.hosts - 1 + submission.parameter_servers + submission.evaluators
    if others:
        raise UserError(
            subject=f"--to docker with {others + 1} hosts",
            problem="it is one container",
            remedy="use --to compose, or --processes-per-host behind -- for several processes",
        )
    check_submission(submission)
    paths = container_paths(submission)
    start = ContainerStart(
        name=submission.name,
        env=environment_of(submission),
        argv=tuple(paths.submission.arguments()) or ("train",),
    )
    container = container_of(paths, options, start=start, name=submission.name, place="docker")
    return EngineJob(
        name=submission.name, containers=(container,), folders=paths.folders, pull=options.pull
    )


def check_submission(submission: Submission) -> None:
    """Raise a UserError for a name that no engine takes, and warn of what an engine has not."""
    check_name(submission.name)
    if submission.max_seconds is not None:
        logger.warning("--max-time: an engine ends no job by itself, and this one neither")
    if submission.spot:
        logger.warning("--spot: an engine takes no hosts away")


def environment_of(submission: Submission) -> dict[str, str]:
    """Return the variables that all containers of a job have."""
    secret = {SECRET_VARIABLE: submission.secret} if submission.secret else {}
    return {**submission.env, **secret}


def container_of(
    paths: ContainerPaths,
    options: DockerOptions,
    *,
    start: ContainerStart,
    name: str,
    place: str,
    chief: bool = True,
    grace: int = round(Job.grace),
) -> EngineContainer:
    """Return a container of a job.

    Args:
        paths: The job with the container's paths.
        options: The flags of containers.
        start: What this one is given.
        name: What the engine calls it.
        place: The backend.
        chief: True if its end is the job's.
        grace: Seconds that it has to stop.
    """
    submission = paths.submission
    labels = job_labels(
        submission.name, place=place, host=start.name, chief=chief, model=paths.model,
        report=paths.report, grace=grace,
    )  # fmt: skip
    return EngineContainer(
        start=start,
        name=name,
        # No GPU is of use to the image that is taken where nobody names one.
        image=GPU_IMAGE if options.gpus and submission.image == IMAGE else submission.image,
        mounts=with_users_mounts(paths.mounts, options.mounts),
        labels={**submission.tags, **labels},
        limits=options.limits,
        user=options.user_ids,
        network=options.network,
        folder=paths.working_folder,
        stop_seconds=grace,
    )


def as_command(job: EngineJob) -> str:
    """Return the commands of a shell that start a job."""
    (container,) = job.containers
    pull = [] if job.pull == "missing" else [("--pull", job.pull)]
    lines = ["docker run --detach", *map(shlex.join, [*container.options(), *pull])]
    lines.append(shlex.join([container.image, *container.start.argv]))
    made = [shlex.join(["mkdir", "-p", *map(str, job.folders)])] if job.folders else []
    return "\n".join([*made, " \\\n    ".join(lines)])


def as_request(job: EngineJob) -> str:
    """Return the request of the engine's API, secrets masked."""
    (container,) = job.containers
    body = api_request(container)
    body["Env"] = [_shown(item, container) for item in body["Env"]]
    path = f"/containers/create?name={container.name}"
    requests: list[dict[str, Any]] = [
        {"method": "POST", "path": path, "body": body},
        {"method": "POST", "path": f"/containers/{container.name}/start"},
    ]
    return json.dumps(requests, indent=2)


def connect(options: DockerOptions) -> EngineService:
    """Return the engine's jobs."""
    return EngineService(find_engine(options.client))


def _shown(item: str, container: EngineContainer) -> str:
    name = item.partition("=")[0]
    return f"{name}={MASK}" if name in container.secrets else item


BACKEND = Backend(
    name="docker",
    options=DockerOptions,
    connection=("client",),
    request=request,
    forms={"request": as_request, "cli": as_command},
    connect=connect,
    image=IMAGE,
)
