"""Bring home what a job left: model, report, checkpoints and the text of its failure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from trainer.backends.backend import Fetched, JobService, JobStatus
from trainer.config import UserError
from trainer.storage import NO_OPTIONS, StorageOptions, download_folder, local, unpack_archive

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
    target = folder / each.target
    if each.unpack and target.is_dir() and any(target.iterdir()):
        logger.info("%s is there already", target)
        return
    into = folder / CACHE / each.target / Path(each.source).name if each.unpack else target
    is_new = download_folder(each.source, into, options=options, stopped=stopped, flag="fetch")
    if each.unpack:
        with local.new_folder(target) as new:
            unpack_archive(into, new, name=each.source)
    logger.info("fetched %s to %s" if is_new else "%s is whole in %s", each.source, target)
