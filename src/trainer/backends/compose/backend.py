"""`--to compose`: several hosts as containers, which meet by TF_CONFIG."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from trainer.backends.backend import Backend
from trainer.backends.compose.file import ComposeFile
from trainer.backends.compose.options import ComposeOptions
from trainer.backends.compose.service import ComposeService
from trainer.backends.docker.backend import (
    IMAGE,
    check_submission,
    container_of,
    environment_of,
)
from trainer.backends.docker.paths import ContainerPaths, container_paths
from trainer.backends.engine.client import find_engine
from trainer.backends.engine.container import ContainerLimits, EngineContainer
from trainer.backends.engine.job import EngineJob
from trainer.config import ROLES, UserError
from trainer.platforms import ContainerStart, Submission


def request(submission: Submission, options: ComposeOptions) -> ComposeFile:
    """Return the job as a compose file.

    Raises:
        UserError: A path is not there, or the addresses are not one for each host.
    """
    check_submission(submission)
    submission = _with_server(submission)
    paths = container_paths(submission, elsewhere=bool(options.addresses))
    hosts = list(_hosts(submission))
    _check_network(options, len(hosts))
    places = _addresses(hosts, options)
    containers = tuple(
        _container(paths, options, hosts=hosts, places=places, number=number)
        for number in range(len(hosts))
    )
    job = EngineJob(
        name=submission.name, containers=containers, folders=paths.folders, pull=options.pull
    )
    return ComposeFile(job=job, several_machines=bool(options.addresses))


def _with_server(submission: Submission) -> Submission:
    """Return the submission with one parameter server where the strategy needs one of its own."""
    if submission.has_parameter_servers and submission.hosts > 1:
        return dataclasses.replace(
            submission, parameter_servers=max(1, submission.parameter_servers)
        )
    return submission


def _hosts(submission: Submission) -> Iterator[tuple[str, int]]:
    """Yield role and number of each host, the chief first."""
    cluster = submission.cluster()
    for role in ROLES:
        yield from ((role, number) for number in range(len(getattr(cluster, role))))


def _addresses(hosts: list[tuple[str, int]], options: ComposeOptions) -> list[str]:
    """Return the address of each host.

    Raises:
        UserError: There are more or fewer addresses than hosts.
    """
    names = [f"{role}-{number}" for role, number in hosts]
    given = options.addresses
    if given and len(given) != len(hosts):
        raise UserError(
            subject=f"--addresses {' '.join(given)}",
            problem=f"expected {len(hosts)}, one for each of {', '.join(names)}",
        )
    return [f"{address}:{options.port}" for address in given or names]


def _check_network(options: ComposeOptions, hosts: int) -> None:
    if hosts > 1 and options.network in ("host", "none") and not options.addresses:
        raise UserError(
            subject=f"--network {options.network}",
            problem=f"{hosts} hosts on one machine meet in a network of their own",
            remedy="leave --network out",
        )


def _container(
    paths: ContainerPaths,
    options: ComposeOptions,
    *,
    hosts: list[tuple[str, int]],
    places: list[str],
    number: int,
) -> EngineContainer:
    """Return one host of the job."""
    role, index = hosts[number]
    env = environment_of(paths.submission)
    if len(hosts) > 1:
        by_role = {
            r: [p for p, (own, _) in zip(places, hosts, strict=True) if own == r] for r in ROLES
        }
        spec = {
            "cluster": {name: found for name, found in by_role.items() if found},
            "task": {"type": role, "index": index},
        }
        env["TF_CONFIG"] = json.dumps(spec)
    start = ContainerStart(
        name=f"{role}-{index}",
        env=env,
        argv=tuple(paths.submission.arguments()) or ("train",),
    )
    container = container_of(
        paths, options, start=start, name=f"{paths.submission.name}-{role}-{index}",
        place="compose", chief=number == 0,
    )  # fmt: skip
    gpus = _share_of_gpus(options, role, number)
    return dataclasses.replace(container, limits=dataclasses.replace(container.limits, gpus=gpus))


def _share_of_gpus(options: ComposeOptions, role: str, number: int) -> str | None:
    """Return the GPUs of a host: each has its own where several are on this machine."""
    count = ContainerLimits(gpus=options.gpus).gpu_count
    if role in ("ps", "evaluator"):
        return None
    if options.addresses or count is None or count < 1:
        return options.gpus
    return "device=" + ",".join(str(number * count + n) for n in range(count))


def connect(options: ComposeOptions) -> ComposeService:
    """Return the engine's jobs, started by Compose."""
    return ComposeService(find_engine(options.client))


BACKEND = Backend(
    name="compose",
    options=ComposeOptions,
    connection=("client",),
    request=request,
    forms={"yaml": ComposeFile.text},
    connect=connect,
    image=IMAGE,
)
