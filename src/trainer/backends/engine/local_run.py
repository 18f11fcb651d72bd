"""A request of another platform's, run on this machine's engine: `trainer submit --local`.

Its containers get what that platform would give them, and meet in a network of their own. They are
removed at the end, whatever happens; what a killed runner leaves has the job's labels, and `trainer
jobs stop` removes it.
"""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from trainer.backends.backend import JobStatus
from trainer.backends.engine.client import ANSWER, Engine
from trainer.backends.engine.collecting import collect
from trainer.backends.engine.container import ContainerLimits, EngineContainer, Mount
from trainer.backends.engine.copying import copy_in
from trainer.backends.engine.job import JOB, OUTPUTS, EngineJob, job_labels
from trainer.backends.engine.service import EngineService, create, prepare, removal, remove_job
from trainer.config import UserError
from trainer.platforms import ContainerStart
from trainer.runtime import StopRequest, message_of, output

logger = logging.getLogger(__name__)

# NCCL's processes of one host exchange data by shared memory.
LIMITS = ContainerLimits(shm_size="1g")
# Seconds between two looks at whether a stop is asked for.
LOOK = 0.2


@dataclass(frozen=True, kw_only=True)
class LocalRun:
    """A job of another platform, to be run here.

    Attributes:
        name: The job's name.
        place: The platform.
        image: The image.
        starts: What the platform gives each container, the chief's first.
        folder: The folder here that gets what the job leaves.
        mounts: Data of this machine that all containers see.
        own_mounts: Data that one container sees, by its name.
        grace: Seconds from SIGTERM to SIGKILL.
        limits: What each container may use.
        pull: When to pull the image.
        others_seconds: Seconds that the other hosts have to end by themselves when the job is over.
    """

    name: str
    place: str
    image: str
    starts: Sequence[ContainerStart]
    folder: Path
    mounts: tuple[Mount, ...] = ()
    own_mounts: Mapping[str, Sequence[Mount]] = field(default_factory=dict)
    grace: int = 120
    limits: ContainerLimits = LIMITS
    pull: str = "missing"
    others_seconds: float = 15.0

    @property
    def outputs(self) -> dict[str, str]:
        """The folders of the containers that the platform keeps, with their names in `folder`."""
        return {path: name for start in self.starts for path, name in start.outputs.items()}

    @property
    def volumes(self) -> dict[str, str]:
        """The folders that all containers share, by the names of the engine's volumes."""
        shared = dict.fromkeys(path for start in self.starts for path in start.shared)
        for mount in self.mounts:
            shared.pop(mount.target, None)
        return {f"{self.name}-shared-{n}": path for n, path in enumerate(shared, 1)}


def run_on_engine(engine: Engine, run: LocalRun, *, stop: StopRequest) -> JobStatus:
    """Run the containers of a job to their end, and print their lines.

    Args:
        engine: The engine.
        run: The job.
        stop: Asks for a stop, which each container gets as SIGTERM.

    Returns:
        How the job has ended.

    Raises:
        UserError: The engine refuses, or there is no image; nothing is left then.
    """
    if run.folder.exists() and any(run.folder.iterdir()):
        raise UserError(
            subject=run.folder, problem="holds something already", remedy="name another folder"
        )
    service = EngineService(engine)
    job = engine_job(run)
    prepare(engine, job)
    service.check_name(run.name)
    keep = False
    try:
        _start(engine, run, job)
        _follow(engine, run, job, stop)
        status = service.status(run.name)
        keep = True
        for kept in collect(engine, job, run.outputs, run.folder):
            logger.info("%s", kept)
        keep = False
        return status
    finally:
        if keep:
            logger.warning(
                "what the job left stays in its containers; trainer jobs fetch %s --on docker "
                "brings it, and this removes them: %s", run.name, removal(engine, run.name),
            )  # fmt: skip
        else:
            remove_job(engine, run.name)


def engine_job(run: LocalRun) -> EngineJob:
    """Return a job's containers as the engine starts them."""
    shared = [
        Mount(source=name, target=path, read_only=False, kind="volume")
        for name, path in run.volumes.items()
    ]
    containers = []
    for number, start in enumerate(run.starts):
        labels = job_labels(
            run.name, place=run.place, host=start.name, chief=number == 0, model="", report="",
            grace=run.grace,
        ) | {OUTPUTS: json.dumps(run.outputs)}  # fmt: skip
        containers.append(
            EngineContainer(
                start=start,
                name=f"{run.name}-{start.name}",
                image=run.image,
                mounts=(*shared, *run.mounts, *run.own_mounts.get(start.name, ())),
                labels=labels,
                limits=run.limits,
                network=f"{run.name}-hosts",
                stop_seconds=run.grace,
            )
        )
    return EngineJob(name=run.name, containers=tuple(containers), pull=run.pull)


def _start(engine: Engine, run: LocalRun, job: EngineJob) -> None:
    label = f"{JOB}={run.name}"
    engine("network", "create", "--label", label, f"{run.name}-hosts")
    for volume in run.volumes:
        engine("volume", "create", "--label", label, volume)
    for container in job.containers:
        create(engine, container)
        start = container.start
        mounted = [mount.target for mount in container.mounts]
        folders = [
            path
            for path in (*start.folders, *start.outputs)
            if not any(PurePosixPath(path).is_relative_to(target) for target in mounted)
        ]
        copy_in(engine, container.name, start.files, folders)
    for container in job.containers:
        engine("start", container.name)


def _follow(engine: Engine, run: LocalRun, job: EngineJob, stop: StopRequest) -> None:
    """Print the lines of all containers until they have ended."""
    ended: queue.Queue[str] = queue.Queue()
    several = len(job.containers) > 1
    for container in job.containers:
        marked = container.start.name if several else ""
        arguments = (engine, container.name, marked, ended)
        threading.Thread(target=_print_lines, args=arguments, daemon=True).start()
    running = {container.name: None for container in job.containers}
    # The job's end: the chief has ended, or another has failed.
    is_over, waited = False, 0.0
    while running:
        try:
            name = ended.get(timeout=LOOK)
            del running[name]
            code = engine("wait", name).strip()
            is_over = is_over or code != "0" or name == job.containers[0].name
        except queue.Empty:
            waited += LOOK if is_over else 0.0
        if stop():
            logger.warning(
                "stopping: SIGTERM to %s; interrupt again to leave at once, then: "
                "trainer jobs stop %s --on docker", ", ".join(running) or "none", run.name,
            )  # fmt: skip
            _stop(engine, list(running), run.grace)
            break
        if running and waited >= run.others_seconds:
            _stop(engine, list(running), run.grace)
            break
    for _ in range(len(running)):
        # Their last lines arrive before their ends do.
        try:
            ended.get(timeout=ANSWER)
        except queue.Empty:
            break


def _stop(engine: Engine, containers: Sequence[str], grace: int) -> None:
    if containers:
        engine("stop", "--time", str(grace), *containers, seconds=grace + ANSWER)


def _print_lines(engine: Engine, container: str, host: str, ended: queue.Queue[str]) -> None:
    """Print what a container prints until it ends."""
    try:
        with subprocess.Popen(
            [engine.client, "logs", "--follow", container],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                # On Google's services lines are JSON, which is for a machine to read.
                text = message_of(line.rstrip(b"\r\n"))
                marked = not host or text.startswith((f"[{host} ", f"[{host}."))
                output.out(text if marked else f"[{host}] {text}")
    finally:
        ended.put(container)
