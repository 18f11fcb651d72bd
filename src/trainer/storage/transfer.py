"""Transfers between local disk and object stores: many files at a time, with lines of progress."""

from __future__ import annotations

import functools
import itertools
import logging
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from trainer.config import UserError, part_of
from trainer.runtime import Patience, StoppedError, never_stopped
from trainer.storage import unfinished
from trainer.storage.errors import StorageError
from trainer.storage.listing import NameFilter
from trainer.storage.local import MARKERS
from trainer.storage.remote_path import RemotePath
from trainer.storage.store_options import NO_OPTIONS, StorageLimits, StorageOptions
from trainer.storage.transfer_pool import TransferPool
from trainer.storage.urls import is_remote, local_path

logger = logging.getLogger(__name__)

# The path that named an object, its key and its size in bytes.
_Object = tuple[RemotePath, str, int]


def download_objects(
    paths: Sequence[str],
    into: Path,
    *,
    shard: tuple[int, int] = (0, 1),
    options: StorageOptions = NO_OPTIONS,
    stopped: Callable[[], bool] = never_stopped,
    flag: str = "--train",
    patterns: bool = True,
    name_filter: NameFilter | None = None,
    everywhere: Callable[[str], bool] = lambda key: False,
) -> list[str]:
    """Bring the objects of urls to local disk; a file that is there in full size is left as it is.

    Args:
        paths: Urls of objects, folders (to any depth) and globs; local paths stay as they are.
        into: Gets `s3/<bucket>/<name>` or `gs/<bucket>/<name>` for each object.
        shard: `(i, n)` takes the i-th of every n objects, counted over all paths, and all of the
            test data among them.
        options: Arguments of the drivers, and limits.
        stopped: Asked every second whether to give up.
        flag: The flag that named the paths, for errors.
        patterns: True if a url may be a glob.
        name_filter: Chooses, of the names in a folder or below a glob, those that are wanted.
        everywhere: Returns whether an object of some name is not shared out, but taken by all.

    Returns:
        For each path the same on local disk: a file for an object, a folder for a folder, a glob
        for a glob.

    Raises:
        UserError: Nothing is there, access is denied, or the disk is too small.
        StorageError: The store failed again and again.
        StoppedError: `stopped` said so.
    """
    stop, number, patience = threading.Event(), itertools.count(), Patience(stopped=stopped)
    local: list[str] = []
    shared: list[str] = []
    wanted: dict[Path, _Object] = {}
    for path in paths:
        if not is_remote(path):
            local.append(local_path(path, flag=flag))
            shared.append(local[-1])
            continue
        place = RemotePath(path, flag=flag, options=options, stop=stop, patience=patience)
        root = into / place.bucket.scheme / place.bucket.name
        found = place.find(patterns=patterns, name_filter=name_filter)
        whole = _whole(found, place.top, everywhere) if shard[1] > 1 else set()
        own = [k for k in found if k in whole or next(number) % shard[1] == shard[0]]
        shared += [key for key in own if key not in whole]
        wanted |= {root / key: (place, key, found[key]) for key in own}
        local += [str(root / place.key)] if own else []
    if paths and not shared:
        raise _too_few(next(number), shard, subject=f"{flag} {' '.join(paths)}")
    missing = {to: job for to, job in wanted.items() if not _is_there(to, job[2])}
    _make_room(missing, into, subject=f"{flag} {' '.join(paths)}")
    calls = [functools.partial(p.bucket.download, k, n, to) for to, (p, k, n) in missing.items()]
    places = {place for place, *_ in missing.values()}
    _transfer([calls], places, f"{flag} fetched", patience, options.limits)
    return local


def download_folder(
    url: str,
    into: Path,
    *,
    options: StorageOptions = NO_OPTIONS,
    stopped: Callable[[], bool] = never_stopped,
    flag: str,
) -> bool:
    """Bring an object to a file, or those of a remote folder to a folder.

    Files that are there in full size stay as they are.

    Args:
        url: The object or folder.
        into: The file, or the folder.
        options: Arguments of the drivers, and limits.
        stopped: Asked every second whether to give up.
        flag: What named the url, for errors.

    Returns:
        False if all was there already.

    Raises:
        UserError: Nothing is there, access is denied, or the disk is too small.
        StorageError: The store failed again and again.
        StoppedError: `stopped` said so.
    """
    patience = Patience(stopped=stopped)
    place = RemotePath(url, flag=flag, options=options, patience=patience)
    found = place.find(patterns=False)
    start = len(place.key) + 1 if place.key else 0
    targets = {into / key[start:] if key != place.key else into: key for key in found}
    missing: dict[Path, _Object] = {
        to: (place, key, found[key]) for to, key in targets.items() if not _is_there(to, found[key])
    }
    _make_room(missing, into.parent, subject=f"{flag} {url}")
    calls = [functools.partial(p.bucket.download, k, n, to) for to, (p, k, n) in missing.items()]
    _transfer([calls], {place}, f"{flag} fetched", patience, options.limits)
    return bool(missing)


def _too_few(objects: int, shard: tuple[int, int], *, subject: str) -> UserError:
    return UserError(
        subject=subject,
        problem=f"{objects} objects for {shard[1]} hosts leave none for host {shard[0]}",
        remedy="take fewer hosts, or do not share the objects out by host",
    )


def _make_room(missing: Mapping[Path, _Object], into: Path, *, subject: str) -> None:
    """Make the folders of files that are about to be fetched.

    Raises:
        UserError: The disk is too small for the files.
    """
    for folder in {to.parent for to in missing}:
        folder.mkdir(parents=True, exist_ok=True)
    need = sum(size for _, _, size in missing.values())
    free = shutil.disk_usage(into).free if missing else 0
    if need > free:
        raise UserError(
            subject=subject,
            problem=f"takes {need / 1e6:.0f} MB of disk, but {into} has {free / 1e6:.0f} MB left",
            remedy="take a larger disk",
        )


def _test_data(keys: Collection[str], top: str) -> set[str]:
    """Return the objects below a folder that are test data beside training data."""
    found = {k for k in keys if part_of(k.removeprefix(top).split("/")) not in (None, "train")}
    return found if len(found) < len(keys) else set()


def _whole(keys: Collection[str], top: str, everywhere: Callable[[str], bool]) -> set[str]:
    """Return the objects that are not shared out among hosts."""
    return _test_data(keys, top) | set(filter(everywhere, keys))


def upload_folder(
    folder: Path,
    url: str,
    *,
    last: Sequence[str] = MARKERS,
    options: StorageOptions = NO_OPTIONS,
    stopped: Callable[[], bool] = never_stopped,
    flag: str = "--model-dir",
) -> None:
    """Send the files of a folder, to any depth, into the remote folder `url`; or one file.

    Args:
        folder: A folder, whose unfinished `.*.part` are left out, or a file.
        url: The remote folder; objects of the same names are replaced.
        last: Names of files that make a folder whole: they are sent when all others have arrived,
            and older ones are deleted before.
        options: Arguments of the drivers, and limits.
        stopped: Returns whether to stop: a store that then does not answer is soon given up.
        flag: The flag that named the url, for errors.

    Raises:
        UserError: There is no such bucket, or access is denied.
        StorageError: The store failed again and again, or does not keep what it is sent.
    """
    patience = Patience(stopped=stopped, seconds=options.limits.sending)
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
    _transfer(calls, {place}, f"{flag} sent", patience, options.limits)


def upload_files(
    files: Mapping[str, Path],
    url: str,
    *,
    options: StorageOptions = NO_OPTIONS,
    stopped: Callable[[], bool] = never_stopped,
    flag: str,
) -> int:
    """Send files into the remote folder `url`; those that are there in full size stay as they are.

    Args:
        files: The files by the names that they get there.
        url: The remote folder.
        options: Arguments of the drivers, and limits.
        stopped: Returns whether to stop.
        flag: The flag that named the files, for errors.

    Returns:
        How many files were sent.

    Raises:
        UserError: There is no such bucket, or access is denied.
        StorageError: The store failed again and again.
        StoppedError: `stopped` said so.
    """
    patience = Patience(stopped=stopped)
    place = RemotePath(url, flag=flag, options=options, patience=patience)
    there = place.contents()
    calls = [
        functools.partial(place.upload, file, name)
        for name, file in files.items()
        if there.get(name) != file.stat().st_size
    ]
    _transfer([calls], {place}, f"{flag} sent", patience, options.limits)
    return len(calls)


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _transfer(
    groups: Iterable[Sequence[Callable[[], None]]],
    places: Iterable[RemotePath],
    verb: str,
    patience: Patience,
    limits: StorageLimits,
) -> None:
    """Run transfers side by side, group after group; one that fails ends them all."""
    begun = reported = last = time.monotonic()
    total, done, moved = sum(map(len, groups)), 0, 0
    for group in groups:
        pool = TransferPool(group, workers=limits.workers)
        try:
            while not pool.is_done:
                if patience.is_over(time.monotonic() - last):
                    text = f"{verb} {done} of {total} files when told to stop"
                    raise StorageError(text) if patience.seconds else StoppedError(text)
                ended, before, now = pool.wait(limits.poll), moved, time.monotonic()
                done, moved = done + ended, sum(sum(list(p.bucket.moved.values())) for p in places)
                if ended or moved != before:
                    last = now
                if done == total or now - reported > limits.progress:
                    reported, mb = now, moved / 1e6
                    rate = mb / max(now - begun, 1e-3)
                    line = "%s files=%d of=%d mb=%.1f mb_per_second=%.1f"
                    logger.info(line, verb, done, total, mb, rate)
        except BaseException:
            for place in places:
                place.bucket.stop.set()
            pool.end(limits.ending)
            raise
