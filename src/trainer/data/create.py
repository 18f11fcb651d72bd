"""`trainer data create`: labelled images of any kind into TFRecord shards."""

from __future__ import annotations

import os
from pathlib import Path

from trainer.data import example, tfrecord
from trainer.data.files import Split, open_tables
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
            other TFRecords already.
    """
    written: dict[Split, list[Path]] = {}
    splits: tuple[Split, Split] = ("train", "test")
    tables = {
        split: open_tables([source] if source else [], split=split, flag="--source")
        for split in splits
    }
    for split in splits:
        count = sum(map(len, tables[split]))
        if count < shards:
            raise UserError(f"--shards {shards}: more than the {count} {split} examples")
    for split in splits:
        folder = out / split
        # Files of an earlier run with another number of shards would be read along with these.
        names = {_name(split, i, shards) for i in range(shards)}
        others = [p.name for p in folder.glob("*.tfrecords") if p.name not in names]
        if others:
            raise UserError(
                f"--out {out}: {folder} holds {others[0]} already; give an empty folder"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            written[split] = write_shards(tables[split], folder, split=split, shards=shards)
        except OSError as error:
            raise UserError(f"--out {out}: cannot be written: {error.strerror}") from None
    return written


def write_shards(tables: list[Table], folder: Path, *, split: Split, shards: int) -> list[Path]:
    """Write the examples of `tables`, in order, to `shards` files of nearly equal length.

    Each file is written under a temporary name and renamed when it is whole.
    """
    count = sum(map(len, tables))
    bounds = [count * i // shards for i in range(shards + 1)]
    runs = (
        (images, labels)
        for table in tables
        for start in range(0, len(table), RUN)
        for images, labels in [table.read(start, min(start + RUN, len(table)))]
    )
    paths = []
    images, labels = next(runs)
    for shard in range(shards):
        path = folder / _name(split, shard, shards)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                left = bounds[shard + 1] - bounds[shard]
                while left:
                    if not labels.size:
                        images, labels = next(runs)
                    take = min(left, labels.size)
                    framed = tfrecord.frame(example.encode(images[:take], labels[:take]))
                    file.write(framed.data)
                    images, labels, left = images[take:], labels[take:], left - take
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        paths.append(path)
    return paths


def _name(split: Split, shard: int, shards: int) -> str:
    return f"mnist_{split}-{shard:05d}-of-{shards:05d}.tfrecords"
