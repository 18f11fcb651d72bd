"""Files on their way between local disk and object stores: many at a time, and told about."""

from __future__ import annotations

import functools
import itertools
import queue
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from trainer.config import UserError, part_of
from trainer.runtime import Patience, StoppedError, Tell, never_stopped, output
from trainer.storage import unfinished
from trainer.storage.errors import StorageError
from trainer.storage.remote import LAST, NO_OPTIONS, WORKERS, Among, DriverOptions, RemotePath
from trainer.storage.urls import is_remote, local_path

TELL_EVERY = 5.0  # seconds between lines of progress
TICK = 0.5  # seconds between looks at what runs
ENDING = 2.0  # seconds for transfers to end that are given up
# Seconds without a byte after which results are not sent on by a run that was told to stop.
SENDING = 10.0

__all__ = ["StoppedError", "Tell", "fetch", "is_there", "push"]


def fetch(
    paths: Sequence[str],
    into: Path,
    *,
    shard: tuple[int, int] = (0, 1),
    options: DriverOptions = NO_OPTIONS,
    tell: Tell = output.out,
    stopped: Callable[[], bool] = never_stopped,
    flag: str = "--train",
    patterns: bool = True,
    among: Among | None = None,
) -> list[str]:
    """Bring what urls name to local disk; a file that is there with its size is not brought again.

    Args:
        paths: Urls of objects, folders (to any depth) and globs; local paths stay as they are.
        into: Gets `s3/<bucket>/<name>` or `gs/<bucket>/<name>` for each object.
        shard: `(i, n)` takes the i-th of every n objects, counted over all paths, and all of the
            test data among them.
        options: Settings of the drivers.
        tell: Gets a line every few seconds.
        stopped: Asked every second whether to give up.
        flag: What named the paths, for errors.
        patterns: Whether a url may be a glob.
        among: Chooses, of the names in a folder or below a glob, those that are wanted.

    Returns:
        For each path what is the same on local disk: a file for an object, a folder for a folder,
        a glob for a glob.

    Raises:
        UserError: Nothing is there, access is denied, or the disk is too small.
        StorageError: The store failed again and again.
        StoppedError: `stopped` said so.
    """
    stop, number = threading.Event(), itertools.count()
    patience = Patience(tell=tell, stopped=stopped)
    local: list[str] = []
    shared: list[str] = []
    jobs: dict[Path, tuple[RemotePath, str, int]] = {}
    for path in paths:
        if not is_remote(path):
            local.append(local_path(path, flag=flag))
            shared.append(local[-1])
            continue
        place = RemotePath(path, flag=flag, options=options, stop=stop, patience=patience)
        root = into / place.scheme / place.bucket
        found = place.find(patterns=patterns, among=among)
        whole = _test_data(found, place.top) if shard[1] > 1 else set()
        mine = [k for k in found if k in whole or next(number) % shard[1] == shard[0]]
        shared += [key for key in mine if key not in whole]
        jobs |= {root / key: (place, key, found[key]) for key in mine}
        local += [str(root / place.key)] if mine else []
    if paths and not shared:
        raise UserError(
            subject=f"{flag} {' '.join(paths)}",
            problem=f"{next(number)} objects for {shard[1]} hosts leave none for host {shard[0]}",
            remedy="take fewer hosts, or do not share the objects out by host",
        )
    jobs = {to: job for to, job in jobs.items() if not is_there(to, job[2])}
    for folder in {to.parent for to in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    need = sum(size for _, _, size in jobs.values())
    free = shutil.disk_usage(into).free if jobs else 0
    if need > free:
        raise UserError(
            subject=f"{flag} {' '.join(paths)}",
            problem=f"takes {need / 1e6:.0f} MB of disk, but {into} has {free / 1e6:.0f} MB left",
            remedy="take a larger disk",
        )
    calls = [functools.partial(p.download, key, size, to) for to, (p, key, size) in jobs.items()]
    _transfer([calls], {p for p, *_ in jobs.values()}, f"{flag} fetched", patience)
    return local


def _test_data(keys: Collection[str], top: str) -> set[str]:
    """Return the objects below a folder that are test data beside training data."""
    found = {k for k in keys if part_of(k.removeprefix(top).split("/")) not in (None, "train")}
    return found if len(found) < len(keys) else set()


def push(
    folder: Path,
    url: str,
    *,
    last: Sequence[str] = LAST,
    options: DriverOptions = NO_OPTIONS,
    tell: Tell = output.out,
    stopped: Callable[[], bool] = never_stopped,
    flag: str = "--model-dir",
) -> None:
    """Send the files of a folder, to any depth, into the remote folder `url`; or one file.

    Args:
        folder: A folder, whose unfinished `.*.part` are left out, or a file.
        url: The remote folder; objects of the same names are replaced.
        last: Names of files that make a folder whole: they are sent when all others have arrived,
            and older ones are taken away before.
        options: Settings of the drivers.
        tell: Gets a line every few seconds.
        stopped: Whether the run was told to stop: what then does not answer is soon given up.
        flag: What named the url, for errors.

    Raises:
        UserError: There is no such bucket, or access is denied.
        StorageError: The store failed again and again, or does not keep what it is sent.
    """
    patience = Patience(tell=tell, stopped=stopped, seconds=SENDING)
    place = RemotePath(url, flag=flag, options=options, patience=patience)
    base = folder if folder.is_dir() else folder.parent
    files = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    names = {file.relative_to(base).as_posix(): file for file in files if file.is_file()}
    names = {n: f for n, f in names.items() if not unfinished.is_within(n)}
    final = [name for name in names if name.split("/")[-1] in last]
    if final:
        for name in place.contents().keys() & set(final):
            place.delete(name)
    groups = [[name for name in names if name not in final], final]
    calls = [[functools.partial(place.upload, names[name], name) for name in g] for g in groups]
    _transfer(calls, {place}, f"{flag} sent", patience)


def is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _transfer(
    groups: Iterable[Sequence[Callable[[], None]]],
    places: Iterable[RemotePath],
    what: str,
    patience: Patience,
) -> None:
    """Run transfers side by side, group after group; one that fails ends them all."""
    begun = told = last = time.monotonic()
    total, done, moved = sum(map(len, groups)), 0, 0
    for group in groups:
        crew = _Crew(group)
        try:
            while not crew.is_done:
                if patience.is_over(time.monotonic() - last):
                    text = f"{what} {done} of {total} files when told to stop"
                    raise StorageError(text) if patience.seconds else StoppedError(text)
                ended, before, now = crew.wait(TICK), moved, time.monotonic()
                done, moved = done + ended, sum(sum(list(p.moved.values())) for p in places)
                if ended or moved != before:
                    last = now
                if done == total or now - told > TELL_EVERY:
                    told, mb = now, moved / 1e6
                    rate = mb / max(now - begun, 1e-3)
                    files = f"files={done} of={total}"
                    patience.tell(f"{what} {files} mb={mb:.1f} mb_per_second={rate:.1f}")
        except BaseException:
            for place in places:
                place.stop.set()
            crew.end()
            raise


class _Crew:
    """Threads that share calls out among them, and that a process does not wait for at its end."""

    def __init__(self, calls: Sequence[Callable[[], None]]) -> None:
        self._left, self._ended = list(reversed(calls)), queue.SimpleQueue[BaseException | None]()
        self._open = len(calls)
        self._threads = [
            threading.Thread(target=self._work, name="transfer", daemon=True)
            for _ in range(min(WORKERS, len(calls)))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_done(self) -> bool:
        """Whether all calls have ended."""
        return not self._open

    def wait(self, seconds: float) -> int:
        """Wait for a call to end, and return how many have; raise what one of them raised."""
        count = 0
        try:
            while True:
                error = self._ended.get(timeout=0 if count else seconds)
                self._open -= 1
                count += 1
                if error is not None:
                    raise error
        except queue.Empty:
            return count

    def end(self) -> None:
        """Begin no further call, and wait a moment for those under way."""
        self._left.clear()
        until = time.monotonic() + ENDING
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while self._left:
            try:
                call = self._left.pop()
            except IndexError:
                return
            try:
                call()
            except BaseException as error:
                self._ended.put(error)
            else:
                self._ended.put(None)
