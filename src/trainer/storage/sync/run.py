"""Synchronisation of DST with SRC: list both, compare, copy, then delete."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.storage.errors import StorageError
from trainer.storage.sync.compare import are_same
from trainer.storage.sync.crew import run_steps
from trainer.storage.sync.disk import DiskPlace
from trainer.storage.sync.disk_copy import span_for
from trainer.storage.sync.entries import Entry, SyncFileError
from trainer.storage.sync.gs import GooglePlace
from trainer.storage.sync.leftovers import ignores_case, remove_leftovers
from trainer.storage.sync.place import Meter, Place, Step, SyncSettings, step
from trainer.storage.sync.plan import (
    SyncPlan,
    check_local_names,
    make_plan,
    same_but_for_case,
    to_compare,
)
from trainer.storage.sync.progress import SyncProgress
from trainer.storage.sync.request import SyncOutcome, SyncRequest
from trainer.storage.sync.s3 import S3Place, client_for
from trainer.storage.urls import URL, is_remote, local_path

logger = logging.getLogger(__name__)

AGAIN = "what has arrived is kept: the same command goes on from there"
# Names of files in a message.
MOST_NAMES = 3


@dataclass
class Synchronisation:
    """One synchronisation: `plan` looks only, `run` does it.

    Args:
        request: What is to be synchronised.

    Raises:
        UserError: A url is malformed, or a library is not installed.
    """

    request: SyncRequest
    meter: Meter = field(default_factory=Meter)

    def __post_init__(self) -> None:
        self._begun = time.monotonic()
        request = self.request
        self._settings = SyncSettings(
            meter=self.meter,
            notes=request.notes,
            limits=request.limits,
            workers=request.workers,
            gs_endpoint=request.gs_endpoint,
        )
        self._clients: dict[str, Any] = {}
        self._source = self._place(request.source, "SRC")
        self._target = self._place(request.target, "DST")
        _check_apart(self._source, self._target)
        self._problems: list[SyncFileError] = []

    def plan(self) -> SyncPlan:
        """List both sides, compare them, and return what is to be done.

        Raises:
            UserError: There is nothing in SRC, a store refuses, or a name cannot be a file's.
            StorageError: A store failed again and again.
        """
        with _going_on():
            source = self._wanted(self._listed_source())
            target = self._wanted(self._target.entries())
            self._problems += getattr(self._source, "problems", [])
            self._check_names(source, target)
            same = self._same(source, target)
        return make_plan(source, target, same=same, delete=self.request.delete)

    def run(self, plan: SyncPlan) -> SyncOutcome:
        """Copy, and delete when all copies are there.

        Raises:
            UserError: The disk is full, or a store refuses.
            StorageError: A store failed again and again.
        """
        self._make_room(plan)
        if plan.newer:
            names, more = ", ".join(plan.newer[:MOST_NAMES]), len(plan.newer) - MOST_NAMES
            logger.warning(
                "DST has newer files, which are replaced: %s%s",
                names,
                f" and {more} more" if more > 0 else "",
            )
        progress = SyncProgress(self.meter, len(plan.copies), plan.copied_bytes)
        steps = [step(self._target.receive, entry, self._source) for entry in plan.copies]
        deleted = 0
        try:
            with _going_on():
                self._problems += self._do(steps, progress)
                # A file that could not be listed or copied is no file that SRC lacks.
                if plan.deleted and not self._problems:
                    self._problems += self._do(
                        [step(self._target.delete, entry.name) for entry in plan.deleted], progress
                    )
                    deleted = len(plan.deleted) - len(self._problems)
        finally:
            progress.end()
            for close in self._settings.at_end:
                close()
        if isinstance(self._target, DiskPlace) and not self._problems:
            remove_leftovers(self._target.root)
        return SyncOutcome(
            plan=plan,
            copied=self.meter.files,
            moved=self.meter.moved,
            resumed=self.meter.resumed,
            deleted=deleted,
            seconds=time.monotonic() - self._begun,
            unchecked=tuple(sorted(self.meter.unchecked)),
            problems=tuple(self._problems),
        )

    def _do(self, steps: list[Step], progress: SyncProgress) -> list[SyncFileError]:
        return run_steps(
            steps, workers=self.request.workers, stop=self.meter.stop, watch=progress.watch
        )

    def _place(self, url: str, flag: str) -> Any:
        if not is_remote(url):
            path = Path(local_path(url, flag=flag)).expanduser()
            return DiskPlace(url, path, flag=flag, settings=self._settings, follow=flag == "SRC")
        match = URL.fullmatch(url)
        if match is None or re.search(r"\?[^/]*=", url):
            # Not repeated where it may hold a password or a token.
            shown = "" if re.search("[@=]", url) else f" {url}"
            raise UserError(
                subject=f"{flag}{shown}",
                problem="expected s3://BUCKET/PATH or gs://BUCKET/PATH, no more",
            )
        scheme, bucket, path_in = match.groups("")
        prefix = f"{path_in.rstrip('/')}/" if path_in.strip("/") else ""
        if scheme != "s3":
            return GooglePlace(url, bucket, prefix, flag=flag, settings=self._settings)
        if "s3" not in self._clients:
            self._clients["s3"] = client_for(self._settings, f"{flag} {url}")
        return S3Place(
            url, bucket, prefix, flag=flag, settings=self._settings, client=self._clients["s3"]
        )

    def _listed_source(self) -> dict[str, Entry]:
        """Return all that SRC holds, which is more than nothing.

        Raises:
            UserError: It holds nothing, or is one file and `--delete` is given.
        """
        source = self._source
        found: dict[str, Entry] = source.entries()
        single = False
        if isinstance(source, DiskPlace):
            single = source.path.is_file()
        elif not found and not source.url.endswith("/"):
            entry = source.single()
            if entry is not None:
                found, single = {entry.name: entry}, True
                source.prefix = source.prefix.rstrip("/").rpartition("/")[0]
                source.prefix += "/" if source.prefix else ""
        if not found and not getattr(source, "problems", ()):
            raise UserError(
                subject=source.subject,
                problem="nothing is there; DST stays as it is",
                remedy="check the path",
            )
        if single and self.request.delete:
            raise UserError(
                subject="--delete",
                problem="SRC is one file, beside which all of DST would be deleted",
                remedy="leave --delete out",
            )
        return found

    def _wanted(self, entries: Mapping[str, Entry]) -> dict[str, Entry]:
        return {n: entry for n, entry in entries.items() if self.request.globs.takes(n)}

    def _check_names(self, source: Mapping[str, Entry], target: Mapping[str, Entry]) -> None:
        if not source and not self._problems:
            raise UserError(
                subject=self._source.subject,
                problem="--include and --exclude leave none of its files; DST stays as it is",
            )
        if isinstance(self._target, DiskPlace):
            check_local_names(source, target, self._target.url)
            if (alike := same_but_for_case(source.keys())) and ignores_case(self._target.root):
                raise UserError(
                    subject="SRC",
                    problem=f"{alike[0]!r} and another name differ only in upper and lower case, "
                    f"which {self._target.url} does not distinguish",
                    remedy="leave one out: --exclude",
                )
            return
        bad = [name for name in source if not _can_be_key(name)]
        if bad:
            raise UserError(
                subject="SRC",
                problem=f"{bad[0]!r} cannot be the name of an object: more than 1,024 bytes, "
                "or no UTF-8",
                remedy="rename it, or leave it out: --exclude",
            )

    def _same(self, source: Mapping[str, Entry], target: Mapping[str, Entry]) -> set[str]:
        """Return the names of files that have the same bytes on both sides."""
        same: set[str] = set()

        def compare(name: str) -> None:
            if are_same(self._source, source[name], self._target, target[name]):
                same.add(name)

        names = to_compare(source, target)
        if len(names) > 0:
            logger.debug("compares %d files of the same size", len(names))
        # A file that cannot be compared is copied, and says then why it cannot.
        run_steps(
            [step(compare, name) for name in names],
            workers=self.request.workers,
            stop=self.meter.stop,
        )
        return same

    def _make_room(self, plan: SyncPlan) -> None:
        """Raise a UserError if the disk is too small for the files, before any is written."""
        if not isinstance(self._target, DiskPlace) or not plan.copies:
            return
        root = self._target.root
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                subject=self._target.subject, problem=f"cannot be made: {error.strerror}"
            ) from None
        self._target.span = span_for(plan.copies, self.request.workers)
        need, free = self._target.bytes_needed(plan.copies), shutil.disk_usage(root).free
        if need > free:
            raise UserError(
                subject=self._target.subject,
                problem=f"the copies take {need / 1e6:,.0f} MB, but {free / 1e6:,.0f} MB are left",
                remedy="make room, or take a larger disk",
            )


@contextlib.contextmanager
def _going_on() -> Iterator[None]:
    """Add to a failure of a store or network that nothing is lost."""
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{error}; {AGAIN}", problem=error.problem) from None


def _can_be_key(name: str) -> bool:
    try:
        return len(name.encode()) <= 1000
    except UnicodeEncodeError:
        return False


def _check_apart(source: Place, target: Place) -> None:
    """Raise a UserError if one place lies in the other."""
    pair: list[str] = []
    for place in (source, target):
        if isinstance(place, DiskPlace):
            pair.append(f"file://{place.path.resolve()}/")
        else:
            scheme = "s3" if isinstance(place, S3Place) else "gs"
            pair.append(f"{scheme}://{place.bucket}/{place.prefix}")  # type: ignore[attr-defined]
    one, other = pair
    if isinstance(source, DiskPlace) and source.path.is_file():
        # A file may go into a folder above its own.
        one = f"file://{source.path.resolve().parent}/"
        if one != other:
            return
    if one.startswith(other) or other.startswith(one):
        raise UserError(
            subject=f"{source.subject}, {target.subject}",
            problem="one lies in the other",
            remedy="name two places apart",
        )
