"""Columns of tables as a data set, for modules whose features are not images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.config import DataError, Split
from trainer.data import files
from trainer.data.example_dataset import WrappedDataset
from trainer.data.formats.csv_file import CsvFormat
from trainer.data.formats.frame import read_frame
from trainer.data.formats.parquet import ParquetFormat
from trainer.data.formats.table import ImageSpec, Table
from trainer.data.recognise import recognise
from trainer.data.shard import WHOLE, Shard
from trainer.data.stream import Stream

# Numbers of rows, which writers add.
_INDEX = ("__index_level_0__", "Unnamed: 0", "")


class CountedDataset(WrappedDataset):
    """A data set that knows how many examples it has, so that a run knows how long an epoch is.

    Args:
        batches: The data set of TensorFlow's own whose elements this one has.
        examples: Examples in all of the data, of which a shard may have only a part.

    Attributes:
        examples: The same.
    """

    def __init__(self, batches: tf.data.Dataset, *, examples: int) -> None:
        self.examples = examples
        super().__init__(batches)


def load_columns(
    paths: str | Path | Sequence[str | Path],
    mode: Split = "train",
    batch_size: int = 32,
    shard: Shard = WHOLE,
    *,
    label: str,
    columns: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    seed: Any = 0,
) -> CountedDataset:
    """Read columns of CSV or Parquet files into memory, as batches for a module's `input_fn`.

        def input_fn(paths, mode, batch_size, shard, *, seed=0):
            return load_columns(paths, mode, batch_size, shard, label="price", seed=seed)

    Examples are shuffled and shared out among processes like those of the trainer's own readers.

    Args:
        paths: Files, folders or globs.
        mode: `train`: shuffled and endless, all batches full. `test`, `validation`: one pass in the
            order of the files, the last batch smaller.
        batch_size: Examples in a batch of this shard.
        shard: The part of the data that this process reads; its index, and the seed, may be
            tensors.
        label: The column of labels.
        columns: The columns of features; by default all others.
        classes: The names of classes where labels are texts: each becomes its place in here.
        seed: The seed of the shuffling.

    Returns:
        Features by name and labels: of numbers float32 or int64 [batch], of texts string [batch],
        of lists of numbers [batch, values].

    Raises:
        DataError: A file is not there, damaged, or of another format; a column is not there or of
            another type; a value is missing.
    """
    paths = [paths] if isinstance(paths, str | Path) else paths
    tables = _open([str(path) for path in paths], mode, label=label, columns=columns)
    training = mode == "train"
    total = sum(map(len, tables))
    if tf.is_tensor(shard.index) or tf.is_tensor(seed):
        data = _in_graph(_joined(tables, label, classes), training, batch_size, shard, seed)
        return CountedDataset(data, examples=total)
    stream = Stream(tables, batch_size=batch_size, training=training, shard=shard, seed=seed)
    data = _numbered_batches(stream, _joined(stream.tables, label, classes))
    return CountedDataset(data, examples=total)


def _in_graph(
    rows: Any, training: bool, batch_size: int, shard: Shard, seed: Any
) -> tf.data.Dataset:
    """Return batches for a worker of a parameter server, which has no Python to number examples."""
    data = tf.data.Dataset.from_tensor_slices(rows)
    data = data.shard(shard.count, tf.cast(shard.index, tf.int64))
    if training:
        data = data.shuffle(data.cardinality(), seed=tf.cast(seed, tf.int64)).repeat()
    return data.batch(batch_size, drop_remainder=training)


def _numbered_batches(stream: Stream, rows: Any) -> tf.data.Dataset:
    """Return the rows whose numbers a stream gives, batch by batch."""
    with tf.device("CPU"):
        rows = tf.nest.map_structure(tf.constant, rows)

    def numbers() -> Iterator[np.ndarray]:
        yield from (batch for batches in stream.indices() for batch in batches)

    def gather(ids: tf.Tensor) -> Any:
        with tf.device("CPU"):
            return tf.nest.map_structure(lambda values: tf.gather(values, ids), rows)

    size = stream.batch_size if stream.training else None
    spec = tf.TensorSpec((size,), tf.int64)
    data = tf.data.Dataset.from_generator(numbers, output_signature=spec)
    return data.map(gather).prefetch(1)


class FrameTable(Table):
    """The columns of one file, of which a stream numbers the examples.

    Args:
        path: The file.
        columns: Its columns by name.

    Attributes:
        columns: The same.
    """

    # One byte an example, which nobody reads.
    spec = ImageSpec((1, 1, 1))

    def __init__(self, path: Path, columns: Mapping[str, np.ndarray]) -> None:
        self.kind, self.name, self.damage = "columns", str(path), []
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        count = stop - start
        return np.zeros((count, *self.spec.shape), np.uint8), np.zeros(count, np.int32)


def _open(
    paths: Sequence[str], split: Split, *, label: str, columns: Sequence[str] | None
) -> list[FrameTable]:
    """Read the files of a split."""
    flag = f"--{split}"
    found = recognise(
        files.chosen(paths, split=split, flag=flag), flag=flag, named=set(map(Path, paths))
    )
    if found.format.name not in (CsvFormat.name, ParquetFormat.name):
        raise DataError(
            subject=found.paths[0], problem=f"is {found.format.title}, expected CSV or Parquet"
        )
    wanted = None if columns is None else [label, *columns]
    tables = [FrameTable(path, read_frame(path, wanted)) for path in found.paths]
    names = [name for name in tables[0].columns if name not in _INDEX]
    for table in tables:
        for name in [label, *names]:
            if name not in table.columns:
                raise DataError(
                    subject=table.name,
                    problem=f"no column {name} among {', '.join(table.columns)}"[:300],
                )
        table.columns = {name: table.columns[name] for name in [label, *names]}
    if not sum(map(len, tables)):
        raise DataError(subject=flag, problem=f"{' '.join(paths)} holds no records")
    return tables


def _joined(
    tables: Sequence[Table], label: str, classes: Sequence[str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return features and labels of all tables."""
    frames = [table for table in tables if isinstance(table, FrameTable)]
    joined = {}
    for name in frames[0].columns:
        parts = [frame.columns[name] for frame in frames if len(frame)]
        forms = {(part.dtype == object, part.shape[1:]) for part in parts}
        if len(forms) > 1:
            raise DataError(
                subject=f"column {name}",
                problem="is of one form in some files and of another in others",
            )
        joined[name] = np.concatenate(parts)
        # Whole numbers here, fractions there.
        if joined[name].dtype == np.float64:
            joined[name] = joined[name].astype(np.float32)
    labels = joined.pop(label)
    if classes:
        labels = _numbered(labels, classes, where=f"column {label}")
    return joined, labels


def _numbered(labels: np.ndarray, classes: Sequence[str], *, where: str) -> np.ndarray:
    """Return texts as their places among the names of classes."""
    places = {name.encode(): place for place, name in enumerate(classes)}
    unknown = sorted({text for text in labels.tolist() if text not in places}, key=str)
    if unknown:
        text = unknown[0].decode(errors="replace") if isinstance(unknown[0], bytes) else unknown[0]
        names = ", ".join(classes[:8]) + (", …" if len(classes) > 8 else "")
        raise DataError(
            subject=where,
            problem=f"{str(text)[:80]} is none of the {len(classes)} classes {names}",
        )
    return np.array([places[text] for text in labels.tolist()], np.int64)
