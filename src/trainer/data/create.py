"""`trainer data create`: labelled images of any kind into TFRecord shards."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from trainer.data import example
from trainer.data.files import Split, expand, open_tables
from trainer.data.framing import frame
from trainer.data.table import Table
from trainer.errors import UserError

# Records written at a time: 13 MB.
RUN = 16_384


def create(*, source: str | None, out: Path, shards: int = 1) -> dict[Split, list[Path]]:
    """Write both splits of a data set as TFRecords, to `out/train` and `out/test`.

    Args:
        source: A folder that holds both splits, as IDX (gzipped or not), npy or TFRecords; None
            for the synthetic digits.
        out: The folder to write to.
        shards: Files for each split.

    Returns:
        The files written, by split; named `mnist_train-00000-of-00002.tfrecords` and so on.

    Raises:
        DataError: The source is missing, damaged or lacks a split.
        UserError: There are fewer examples than shards, `out` cannot be written, or it holds
            other data already.
    """
    splits: tuple[Split, Split] = ("train", "test")
    tables = {
        split: open_tables([source] if source else [], split=split, flag="--source")
        for split in splits
    }
    if {table.name for table in tables["train"]} & {table.name for table in tables["test"]}:
        raise UserError(
            f"--source {source}: no name in it tells train from test; "
            "put the files in folders train and test"
        )
    written: dict[Split, list[Path]] = {}
    for split in splits:
        count = sum(map(len, tables[split]))
        if count < shards:
            raise UserError(f"--shards {shards}: more than the {count} {split} examples")
        folder = out / split
        written[split] = [
            folder / f"mnist_{split}-{shard:05d}-of-{shards:05d}.tfrecords"
            for shard in range(shards)
        ]
        # Files of an earlier run with another number of shards would be read along with these.
        others = set(expand(folder)) - set(written[split]) if folder.is_dir() else set()
        if others:
            raise UserError(
                f"--out {out}: {folder} holds {min(others).name} already; give an empty folder"
            )
    try:
        with contextlib.ExitStack() as stack:
            parts = {
                path: path.with_name(f".{path.name}.{os.getpid()}.part")
                for split in splits
                for path in written[split]
            }
            for part in parts.values():
                stack.callback(part.unlink, missing_ok=True)
            for split in splits:
                (out / split).mkdir(parents=True, exist_ok=True)
                write_shards(tables[split], [parts[path] for path in written[split]])
            # Only now, when everything could be read and written: all files or none.
            for path, part in parts.items():
                part.replace(path)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written: {error.strerror}") from None
    return written


def write_shards(tables: list[Table], paths: list[Path]) -> None:
    """Write the examples of `tables`, in order, to files of nearly equal length."""
    count = sum(map(len, tables))
    bounds = [count * i // len(paths) for i in range(len(paths) + 1)]
    runs = (
        (images, labels)
        for table in tables
        for start in range(0, len(table), RUN)
        for images, labels in [table.read(start, min(start + RUN, len(table)))]
    )
    images, labels = next(runs)
    for path, start, stop in zip(paths, bounds, bounds[1:], strict=False):
        with path.open("wb") as file:
            left = stop - start
            while left:
                if not labels.size:
                    images, labels = next(runs)
                take = min(left, labels.size)
                file.write(frame(example.encode(images[:take], labels[:take])).data)
                images, labels, left = images[take:], labels[take:], left - take
            file.flush()
            os.fsync(file.fileno())
