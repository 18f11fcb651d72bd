"""Bring home what a job left: model, report, checkpoints and the text of its failure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from trainer.backends.backend import Fetched, JobService, JobStatus
from trainer.config import UserError
from trainer.storage import NO_OPTIONS, StorageOptions, download_objects, local, unpack_archive

logger = logging.getLogger(__name__)
FAILURE_FILE = "failure.txt"
# Archives stay here until the job is fetched whole, so that a second try need not fetch them again.
CACHE = ".fetching"


def fetch_job(
    service: JobService,
    name: str,
    folder: Path,
    *,
    stopped: Callable[[], bool],
    options: StorageOptions = NO_OPTIONS,
) -> JobStatus:
    """Bring what a job left to a folder; files that are there in full size stay as they are.

    Args:
        service: The backend's service.
        name: The job.
        folder: Where it goes.
        stopped: Returns whether to give up; a second try goes on from there.
        options: The settings with which the store is reached.

    Returns:
        The job's state.

    Raises:
        UserError: The job has left nothing yet, or the disk is too small.
        StorageError: The store failed again and again.
        StoppedError: `stopped` said so.
    """
    status = service.status(name)
    folder.mkdir(parents=True, exist_ok=True)
    found = service.results(name, folder)
    if status.failure:
        local.write_text(folder / FAILURE_FILE, status.failure + "\n")
    for each in found:
        _fetch(each, folder, stopped=stopped, options=options)
        logger.info("fetched %s to %s", each.source, folder / each.target)
    if (folder / CACHE).is_dir():
        local.remove_folder(folder / CACHE)
    if not any(folder.iterdir()):
        raise UserError(
            subject=name,
            problem=f"the job is {status.state} and has left nothing yet",
            remedy="try again when it has ended",
        )
    return status


def _fetch(
    each: Fetched, folder: Path, *, stopped: Callable[[], bool], options: StorageOptions
) -> None:
    (path,) = download_objects(
        [each.source], folder / CACHE, options=options, stopped=stopped, flag="fetch",
        patterns=False,
    ) or [""]  # fmt: skip
    if not path:
        return
    target = folder / each.target
    if each.unpack:
        if target.is_dir() and any(target.iterdir()):
            logger.info("%s: is there already", target)
            return
        with local.new_folder(target) as new:
            unpack_archive(Path(path), new, name=each.source)
        return
    source = Path(path)
    for file in [source] if source.is_file() else sorted(source.rglob("*")):
        if file.is_file():
            to = target if source.is_file() else target / file.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            local.move_file(file, to)
