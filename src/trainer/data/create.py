"""Write labelled images of any format as TFRecord shards, for `trainer data create`."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from trainer.config import Split, UserError
from trainer.data.adapted import adapted, all_names
from trainer.data.creation import Creation, PlannedShard
from trainer.data.files import holds_split, notes, open_tables
from trainer.data.fingerprint import fingerprint_of
from trainer.data.folders import data_among, scan_path
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.table import Table
from trainer.data.manifest import (
    CLASSES_FILE,
    FILE_NAME,
    Manifest,
    split_manifest,
    write_manifest,
)
from trainer.data.shard_file import ShardFile
from trainer.runtime import output
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

SPLITS: tuple[Split, Split] = ("train", "test")
# What lies beside the splits.
BESIDE = (CLASSES_FILE, FILE_NAME)


def create_anywhere(
    *,
    source: str | None,
    out: str,
    shards: int = 1,
    packed: bool = False,
    workers: int = 1,
    options: StorageOptions = NO_OPTIONS,
) -> list[str]:
    """Write a data set as `create_dataset` does, from and to folders on disk or in object stores.

    Args:
        source: As for `create_dataset`, or the url of such a folder.
        out: The folder to write to, or its url.
        shards: Files for each split.
        packed: True to pack them with gzip.
        workers: Files written at a time.
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
            source=source, out=folder, shards=shards, packed=packed, workers=workers, origin=origin
        )
        for note in notes([source], [source]) if source else []:
            logger.info("%s", note)
        files = [path for split in paths for path in paths[split]]
        files += [path for name in BESIDE if (path := folder / name).exists()]
        if not is_remote(out):
            return [str(path) for path in files]
        names = [path.relative_to(folder).as_posix() for path in files]
        with _taken_back(place, names):
            upload_folder(folder, out, flag="--out", options=options)
        # It is kept if this process is killed, for the next to go on with.
        shutil.rmtree(folder, ignore_errors=True)
        return [f"{out.rstrip('/')}/{name}" for name in names]


def create_dataset(
    *,
    source: str | None,
    out: Path,
    shards: int = 1,
    packed: bool = False,
    workers: int = 1,
    origin: str | None = None,
) -> dict[str, list[Path]]:
    """Write each split of a data set as TFRecords, to `out/train` and so on, with a manifest.

    A process that was killed leaves the files that were whole; the next with the same arguments
    writes the others.

    Args:
        source: A folder, file or glob of any format; None for the synthetic digits.
        out: The folder to write to.
        shards: Files for each split.
        packed: True to pack them with gzip.
        workers: Files written at a time.
        origin: The source's name for the manifest, by default its path.

    Returns:
        The files written, by split; named `train-00000-of-00002.tfrecord` and so on. Data of which
        no name tells a split is written as `train`.

    Raises:
        DataError: The source is missing or damaged.
        UserError: There are fewer examples than shards, `out` cannot be written, or it holds
            other data already.
    """
    tables = _splits_of(source)
    return write_dataset(
        tables, out=out, shards=shards, packed=packed, workers=workers,
        source=origin or source or "synthetic digits",
        identity=_identity(source, tables),
    )  # fmt: skip


def write_dataset(
    tables: Mapping[str, Sequence[Table]],
    *,
    out: Path,
    shards: int,
    packed: bool,
    workers: int,
    source: str,
    identity: str,
) -> dict[str, list[Path]]:
    """Write splits as `create_dataset` does.

    Args:
        tables: The tables of each split.
        out: The folder to write to.
        shards: Files for each split.
        packed: True to pack them with gzip.
        workers: Files written at a time.
        source: Where they come from, for the manifest.
        identity: Text that differs if the same files would have other contents.

    Raises:
        DataError: A record is damaged.
        UserError: As from `create_dataset`.
    """
    written: dict[str, list[Path]] = {}
    planned: list[PlannedShard] = []
    for split, held in tables.items():
        count = sum(map(len, held))
        if count < shards:
            raise UserError(
                subject=f"--shards {shards}",
                problem=f"more than the {count} {split} examples",
            )
        bounds = [count * i // shards for i in range(shards + 1)]
        names = _names(split, shards, packed=packed)
        planned += [
            PlannedShard(name=f"{split}/{name}", tables=held, bounds=(start, stop))
            for name, start, stop in zip(names, bounds, bounds[1:], strict=False)
        ]
        written[split] = [out / split / name for name in names]
        _refuse_other_files(out / split, written[split], out=out)
    creation = Creation(out, planned, identity=identity, packed=packed, workers=workers)
    try:
        files = creation.run()
        write_manifest(out, _manifest_of(tables, files, source=source))
    except OSError as error:
        raise UserError(
            subject=f"--out {out}",
            problem=f"cannot be written: {error.strerror}",
        ) from None
    return written


def _splits_of(source: str | None) -> dict[str, list[Table]]:
    """Open each split that the names in a source tell of; all of it as `train` if none does."""
    paths = [source] if source else []
    splits = [s for s in SPLITS if not paths or holds_split(paths, s)]
    tables: dict[str, list[Table]] = {
        split: open_tables(paths, split=split, flag="--source") for split in splits or ["train"]
    }
    if not splits:
        logger.info("no name in %s tells train from test: all of it is written as train", source)
    # A class may be in one split only: all give a name the same label.
    named = ReadOptions(
        class_names=all_names([table for held in tables.values() for table in held])
    )
    return {split: adapted(held, named) for split, held in tables.items()}


def _identity(source: str | None, tables: Mapping[str, Sequence[Table]]) -> str:
    """Return a text that differs between sources of other content, without reading them."""
    if source is None:
        return "synthetic"
    found = [
        fingerprint_of([source], split=cast(Split, split), flag="--source").entries
        for split in tables
    ]
    return repr(found)


def _manifest_of(
    tables: Mapping[str, Sequence[Table]], files: Sequence[ShardFile], *, source: str
) -> Manifest:
    """Return the manifest of what was written."""
    first = next(iter(tables.values()))[0]
    names = next((t.class_names for held in tables.values() for t in held if t.class_names), ())
    return Manifest(
        source=output.clean(source),
        shape=first.spec.shape,
        dtype=first.spec.dtype,
        pixel_range=(first.spec.low, first.spec.high),
        class_names=list(names),
        splits={
            split: split_manifest([f for f in files if f.name.startswith(f"{split}/")])
            for split in tables
        },
    )


def _refuse_other_files(folder: Path, ours: list[Path], *, out: Path) -> None:
    """Raise a UserError if a folder holds other data.

    Files of an earlier run with another number of shards would be read together with these.
    """
    others = set(scan_path(folder).files) - set(ours) if folder.is_dir() else set()
    if others:
        raise UserError(
            subject=f"--out {out}",
            problem=f"{folder} holds {min(others).name} already",
            remedy="give an empty folder",
        )


def _names(split: str, shards: int, *, packed: bool) -> list[str]:
    end = ".tfrecord.gz" if packed else ".tfrecord"
    return [f"{split}-{shard:05d}-of-{shards:05d}{end}" for shard in range(shards)]


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
    for split in SPLITS:
        names = [name.removeprefix(f"{split}/") for name in there if name.startswith(f"{split}/")]
        others = data_among(names) - set(_names(split, shards, packed=packed))
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
