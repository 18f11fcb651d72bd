"""`trainer data create` and `split` from and to folders on disk or in object stores."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from trainer.config import Split, UserError
from trainer.data.create import create_dataset, shard_names
from trainer.data.division import Division
from trainer.data.files import notes
from trainer.data.folders import data_among
from trainer.data.formats.picture_listing import CLASSES_FILE
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.manifest import FILE_NAME
from trainer.storage import (
    NO_OPTIONS,
    RemotePath,
    StorageError,
    StorageOptions,
    download_objects,
    is_remote,
    local_path,
    upload_folder,
)

logger = logging.getLogger(__name__)


def create_anywhere(
    *,
    source: str | None,
    out: str,
    shards: int = 1,
    packed: bool = False,
    workers: int = 1,
    division: Division | None = None,
    reading: ReadOptions = DEFAULTS,
    options: StorageOptions = NO_OPTIONS,
) -> list[str]:
    """Write a data set as `create_dataset` does, from and to folders on disk or in object stores.

    Args:
        source: As for `create_dataset`, or the url of such a folder.
        out: The folder to write to, or its url.
        shards: Files for each split.
        packed: True to pack them with gzip.
        workers: Files written at a time.
        division: As for `create_dataset`.
        reading: As for `create_dataset`.
        options: Arguments of the stores' drivers, and limits.

    Returns:
        The paths or urls of the files written, the manifest last.

    Raises:
        UserError: As from `create_dataset`, or a store refuses; nothing new is left there.
        StorageError: A store failed again and again.
    """
    with contextlib.ExitStack() as stack:
        if not is_remote(out):
            folder = Path(local_path(out, flag="--out"))
        else:
            place = RemotePath(out, flag="--out", options=options)
            place.check_writable()
            _refuse_others(place, out=out, shards=shards, packed=packed)
            folder = stack.enter_context(_scratch_of(out))
        origin = source
        if source is not None:
            into = Path(stack.enter_context(_scratch())) if is_remote(source) else Path()
            (source,) = download_objects([source], into, flag="--source", options=options)
        paths = create_dataset(
            source=source, out=folder, shards=shards, packed=packed, workers=workers,
            origin=origin, division=division, reading=reading,
        )  # fmt: skip
        if source and not division:
            for note in notes([source], [source], [source]):
                logger.info("%s", note)
        files = [path for split in paths for path in paths[split]]
        beside = [*(folder / split / CLASSES_FILE for split in paths), folder / FILE_NAME]
        files += [path for path in beside if path.exists()]
        if not is_remote(out):
            return [str(path) for path in files]
        names = [path.relative_to(folder).as_posix() for path in files]
        with _taken_back(place, names):
            upload_folder(folder, out, flag="--out", options=options)
        # It is kept if this process is killed, for the next to go on with.
        shutil.rmtree(folder, ignore_errors=True)
        return [f"{out.rstrip('/')}/{name}" for name in names]


def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="trainer-", ignore_cleanup_errors=True)


@contextlib.contextmanager
def _scratch_of(out: str) -> Iterator[Path]:
    """Give the folder in which this machine's processes of this user make the files of a url."""
    name = hashlib.sha256(f"{os.getuid()} {out}".encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"trainer-create-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UserError(
            subject=folder,
            problem="belongs to somebody else",
            remedy="set TMPDIR to another folder",
        )
    try:
        yield folder
    except UserError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _refuse_others(place: RemotePath, *, out: str, shards: int, packed: bool) -> None:
    """Raise a UserError if the folder in a store holds other data, which would be read too."""
    there = place.contents()
    for split in get_args(Split):
        names = [name.removeprefix(f"{split}/") for name in there if name.startswith(f"{split}/")]
        others = data_among(names) - set(shard_names(split, shards, packed=packed))
        if others:
            raise UserError(
                subject=f"--out {out}",
                problem=f"its folder {split} holds {min(others)} already",
                remedy="give an empty folder",
            )


@contextlib.contextmanager
def _taken_back(place: RemotePath, names: list[str]) -> Iterator[None]:
    """Delete the new objects in a store if the block fails: all files or none."""
    before = place.contents()
    try:
        yield
    except BaseException:
        for name in names:
            if name not in before:
                with contextlib.suppress(UserError, StorageError):
                    place.delete(name)
        raise
