"""Write labelled images of any format as TFRecord shards, for `trainer data create`."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from trainer.config import Split, UserError
from trainer.data.files import notes, open_tables
from trainer.data.folders import data_among, scan_path
from trainer.data.formats import example
from trainer.data.formats.framing import frame
from trainer.data.formats.table import Table
from trainer.storage import (
    NO_OPTIONS,
    RemotePath,
    StorageError,
    StorageOptions,
    download_objects,
    is_remote,
    local_path,
    move_file,
    unfinished,
    upload_folder,
)

logger = logging.getLogger(__name__)

SPLITS: tuple[Split, Split] = ("train", "test")
# Records written at a time: 13 MB.
RUN = 16_384


def create_anywhere(
    *,
    source: str | None,
    out: str,
    shards: int = 1,
    options: StorageOptions = NO_OPTIONS,
) -> list[str]:
    """Write a data set as `create_dataset` does, from and to folders on disk or in object stores.

    Args:
        source: As for `create_dataset`, or the url of such a folder.
        out: The folder to write to, or its url.
        shards: Files for each split.
        options: Arguments of the stores' drivers, and limits.

    Returns:
        The paths or urls of the files written.

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
            _refuse_others(place, out=out, shards=shards)
            folder = Path(stack.enter_context(_scratch()))
        if source is not None:
            into = Path(stack.enter_context(_scratch())) if is_remote(source) else Path()
            (source,) = download_objects([source], into, flag="--source", options=options)
        written = create_dataset(source=source, out=folder, shards=shards)
        for note in notes([source], [source]) if source else []:
            logger.info("%s", note)
        files = [path for split in SPLITS for path in written[split]]
        if not is_remote(out):
            return [str(path) for path in files]
        names = [path.relative_to(folder).as_posix() for path in files]
        with _taken_back(place, names):
            upload_folder(folder, out, flag="--out", options=options)
        return [f"{out.rstrip('/')}/{name}" for name in names]


def create_dataset(*, source: str | None, out: Path, shards: int = 1) -> dict[Split, list[Path]]:
    """Write both splits of a data set as TFRecords, to `out/train` and `out/test`.

    Args:
        source: A folder that holds both splits, as IDX (gzipped or not), npy or TFRecords; None
            for the synthetic digits.
        out: The folder to write to.
        shards: Files for each split.

    Returns:
        The files written, by split; named `train-00000-of-00002.tfrecord` and so on.

    Raises:
        DataError: The source is missing, damaged or lacks a split.
        UserError: There are fewer examples than shards, `out` cannot be written, or it holds
            other data already.
    """
    tables = {
        split: open_tables([source] if source else [], split=split, flag="--source")
        for split in SPLITS
    }
    if {table.name for table in tables["train"]} & {table.name for table in tables["test"]}:
        raise UserError(
            subject=f"--source {source}",
            problem="no name in it tells train from test",
            remedy="put the files in folders train and test",
        )
    written: dict[Split, list[Path]] = {}
    for split in SPLITS:
        count = sum(map(len, tables[split]))
        if count < shards:
            raise UserError(
                subject=f"--shards {shards}",
                problem=f"more than the {count} {split} examples",
            )
        folder = out / split
        written[split] = [folder / name for name in _names(split, shards)]
        _refuse_other_files(folder, written[split], out=out)
    try:
        with contextlib.ExitStack() as stack:
            parts = {path: unfinished.name_for(path) for split in SPLITS for path in written[split]}
            for part in parts.values():
                stack.callback(part.unlink, missing_ok=True)
            for split in SPLITS:
                (out / split).mkdir(parents=True, exist_ok=True)
                write_shards(tables[split], [parts[path] for path in written[split]])
            # Renamed only now that everything has been read and written: all files or none.
            for path, part in parts.items():
                move_file(part, path)
    except OSError as error:
        raise UserError(
            subject=f"--out {out}",
            problem=f"cannot be written: {error.strerror}",
        ) from None
    return written


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


def _names(split: Split, shards: int) -> list[str]:
    return [f"{split}-{shard:05d}-of-{shards:05d}.tfrecord" for shard in range(shards)]


def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="trainer-", ignore_cleanup_errors=True)


def _refuse_others(place: RemotePath, *, out: str, shards: int) -> None:
    """Raise a UserError if the folder in a store holds other data, which would be read too."""
    there = place.contents()
    for split in SPLITS:
        names = [name.removeprefix(f"{split}/") for name in there if name.startswith(f"{split}/")]
        others = data_among(names) - set(_names(split, shards))
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


def write_shards(tables: list[Table], paths: list[Path]) -> None:
    """Write the examples of `tables`, in order, to files of nearly equal length."""
    count = sum(map(len, tables))
    bounds = [count * i // len(paths) for i in range(len(paths) + 1)]
    runs = (
        (images, labels)
        for table in tables
        for run in [table.spec.records(RUN)]
        for start in range(0, len(table), run)
        for images, labels in [table.read(start, min(start + run, len(table)))]
    )
    images, labels = next(runs)
    for path, start, stop in zip(paths, bounds, bounds[1:], strict=False):
        with path.open("wb") as file:
            left = stop - start
            while left:
                if not labels.size:
                    images, labels = next(runs)
                take = min(left, labels.size)
                file.write(frame(example.encode_examples(images[:take], labels[:take])).data)
                images, labels, left = images[take:], labels[take:], left - take
            file.flush()
            os.fsync(file.fileno())
