"""`trainer submit --local`: the request of another place, run on this machine's engine."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from trainer.backends.backend import Backend
from trainer.backends.engine.client import find_engine
from trainer.backends.engine.container import Mount, absolute
from trainer.backends.engine.local_run import LocalRun, run_on_engine
from trainer.backends.follow import exit_code_of
from trainer.backends.inputs import Upload
from trainer.config import UserError
from trainer.platforms import INPUTS, ContainerStart, Submission
from trainer.runtime import StopRequest, output
from trainer.storage import globs, is_remote

logger = logging.getLogger(__name__)

RESULTS_HERE = "runs"
# Vertex AI mounts each bucket there.
BUCKETS = "/gcs"
# Arguments of a client are of a limited length.
MOST_FILES = 1000


def run_here(
    backend: Backend,
    request: Any,
    submission: Submission,
    uploads: Sequence[Upload],
    *,
    folder: str | None,
    client: str | None,
    stop: StopRequest,
) -> int:
    """Run a request on this machine's engine, and print what its containers print.

    Args:
        backend: The place whose request it is.
        request: The request.
        submission: The job.
        uploads: The local inputs, which the containers see where the place would bring them.
        folder: The folder below which the job's results go, or None for `runs`.
        client: The engine's client, or None for the one on PATH.
        stop: Asks for a stop.

    Returns:
        The exit code: that of the job.

    Raises:
        UserError: The place has no containers to run here, or needs data of a store.
    """
    containers: Callable[[Any], Sequence[ContainerStart]] | None = backend.containers
    if containers is None:
        raise UserError(
            subject=f"--local with --to {backend.name}",
            problem="it runs on this machine anyway",
            remedy="leave --local out",
        )
    starts = containers(request)
    base = RESULTS_HERE if not folder or is_remote(folder) else folder
    run = LocalRun(
        name=submission.name,
        place=backend.name,
        image=submission.image,
        starts=starts,
        folder=absolute(f"{base}/{submission.name}"),
        mounts=(*mounts_of(starts, uploads), *mounts_of_volumes(starts, submission)),
        own_mounts=shards_of(starts, uploads),
        grace=backend.grace,
    )
    if backend.limits:
        logger.warning("--local: %s", backend.limits)
    status = run_on_engine(find_engine(client), run, stop=stop)
    logger.info("%s %s", submission.name, status.state)
    if status.state != "completed":
        words = status.failure or status.detail
        output.err(f"trainer: job {submission.name} {status.state}: {words}")
    return exit_code_of(status)


def without_bucket(backend: Backend, submission: Submission) -> Submission:
    """Return a submission for `--local`, for which nobody needs a bucket."""
    output = submission.output
    if backend.local_bucket is None or (output and is_remote(output)):
        return submission
    return dataclasses.replace(submission, output=backend.local_bucket)


def mounts_of(starts: Sequence[ContainerStart], uploads: Sequence[Upload]) -> list[Mount]:
    """Return the local inputs that all containers of a job have, where they look for them.

    Args:
        starts: What the place gives the containers.
        uploads: The local inputs.

    Raises:
        UserError: The place would bring data from a store.
    """
    files = _files_by_url(uploads)
    mounts: dict[str, Mount] = {}
    for start in starts:
        for target, url in start.inputs.items():
            found = mounted(_below(url, files), target)
            if target not in start.sharded:
                mounts |= {mount.target: mount for mount in found}
    for upload in uploads:
        if upload.url.startswith("gs://"):
            target = f"{BUCKETS}/{upload.url.removeprefix('gs://')}"
            mounts |= {mount.target: mount for mount in mounted(upload.files, target)}
    return list(mounts.values())


def shards_of(
    starts: Sequence[ContainerStart], uploads: Sequence[Upload]
) -> dict[str, list[Mount]]:
    """Return the local inputs of which each container has every n-th file, by its name."""
    files = _files_by_url(uploads)
    return {
        start.name: [
            mount
            for target in start.sharded
            for mount in mounted(_below(start.inputs[target], files, number, len(starts)), target)
        ]
        for number, start in enumerate(starts)
    }


def mounts_of_volumes(starts: Sequence[ContainerStart], submission: Submission) -> list[Mount]:
    """Return the data of this machine that is named as a path of a volume, under this path."""
    values = (getattr(submission.job, name) for name in INPUTS)
    paths = (p for value in values for p in (value if isinstance(value, tuple) else (value,)) if p)
    tops = {str(globs.root(Path(path))) for path in paths if path.startswith("/")}
    volumes = {folder for start in starts for folder in start.shared}
    return [
        Mount(source=top, target=top)
        for top in sorted(tops)
        if Path(top).exists() and any(Path(top).is_relative_to(folder) for folder in volumes)
    ]


def mounted(files: Mapping[str, Path], target: str) -> list[Mount]:
    """Return mounts by which a folder of a container has some files.

    Args:
        files: The files by their names in it.
        target: The folder.

    Raises:
        UserError: They are very many files, and not all that their folder holds.
    """
    if not files:
        return []
    name, path = next(iter(files.items()))
    root = Path(*path.parts[: len(path.parts) - len(PurePosixPath(name).parts)])
    if all(root / n == file for n, file in files.items()) and _visible(root) == {*files}:
        return [Mount(source=str(root), target=target)]
    if len(files) > MOST_FILES:
        raise UserError(
            subject=str(root),
            problem=f"--local shows a container {MOST_FILES} files of a folder one by one, and "
            f"these are {len(files)}",
            remedy="name the folder",
        )
    return [Mount(source=str(file), target=f"{target}/{n}") for n, file in files.items()]


def _visible(root: Path) -> set[str]:
    """Return the files below a folder, without hidden ones, which no reader of data looks at."""
    found = (file.relative_to(root) for file in root.rglob("*") if file.is_file())
    return {str(name) for name in found if not any(part[0] == "." for part in name.parts)}


def _files_by_url(uploads: Sequence[Upload]) -> dict[str, Path]:
    return {f"{u.url}/{name}": path for u in uploads for name, path in u.files.items()}


def _below(url: str, files: Mapping[str, Path], first: int = 0, step: int = 1) -> dict[str, Path]:
    """Return the files below a url, by their names there, or the one that it names.

    Args:
        url: The url.
        files: All files by their urls.
        first: The number of the first that is wanted.
        step: 1 for all, n for every n-th.

    Raises:
        UserError: There are none.
    """
    base = url.rstrip("/")
    found = {u[len(base) + 1 :]: path for u, path in files.items() if u.startswith(f"{base}/")}
    if base in files:
        found = {PurePosixPath(base).name: files[base]}
    if not found:
        raise UserError(
            subject=base,
            problem="--local brings nothing from stores",
            remedy="name data of this machine",
        )
    return {name: found[name] for name in sorted(found)[first::step]}
