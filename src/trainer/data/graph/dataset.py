"""A `tf.data.Dataset` made of TensorFlow's own operations only, for servers without Python.

Workers of a ParameterServerStrategy are bare TensorFlow servers: the generators of
`pipeline.make_dataset` cannot run there, but a graph can.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from trainer.config import DataError
from trainer.data.common_form import common_spec, largest_label, names_of
from trainer.data.example_dataset import ExampleDataset
from trainer.data.formats.table import PIECE_BYTES, Table
from trainer.data.graph.graph_reader import GraphReader
from trainer.data.pipeline import on_one_thread, scaler
from trainer.data.shard import Shard, by_file
from trainer.data.stream import PIECE_EXAMPLES, chunk_examples

# Tables read in turns where data is streamed, so that a shuffled piece holds some of each.
TABLES_AT_ONCE = 16


# AutoGraph has nothing to convert here, and looking for it takes longer than all the rest.
@tf.autograph.experimental.do_not_convert
def graph_dataset(
    tables: Sequence[Table],
    *,
    batch_size: int,
    training: bool,
    shard_index: Any = 0,
    shard_count: int = 1,
    shard_by: str = "auto",
    seed: Any = 0,
    cache_mb: float = 1024,
    piece_examples: int | None = None,
    classes: int | None = None,
) -> ExampleDataset:
    """Make batches that TensorFlow reads without Python.

    It may be called within a `tf.function(autograph=False)`: `create_per_worker_dataset` does so.

    Args:
        tables: The data.
        batch_size: Examples in a batch.
        training: Shuffled, differently in each epoch and shard, and endless, batches running on
            from epoch to epoch so that all are full; or one pass in order, ending with what is
            left.
        shard_index: The number of the part, 0 to `shard_count` - 1: a number or an integer scalar,
            such as a worker's index, which is known only where the graph runs.
        shard_count: The number of parts.
        shard_by: For training as `Shard.by`; an evaluation is always by record.
        seed: The seed of the order: a number or an integer scalar.
        cache_mb: For training, a part of up to this size, in MiB, is read once and kept in memory.
        piece_examples: The number of examples that are shuffled at a time where it is not.
        classes: The number of classes, if something else than the labels decides on it.

    Returns:
        Elements as of `pipeline.make_dataset`. Its `stream` is a `TableSet`, and it has no feed.

    Raises:
        DataError: There are fewer records than parts.
    """
    tables = [table for table in tables if len(table)]
    table_set = TableSet(tables, classes=classes)
    _check_enough(table_set, shard_count)
    spec = table_set.spec
    files = training and by_file(tables, Shard(count=shard_count, by=shard_by))
    every = (shard_count, 1) if files else (1, shard_count)
    most = _largest_part(tables, *every)
    with tf.device("CPU"):  # a GPU gets batches
        index = _checked(shard_index, shard_count)
        reader = GraphReader(tables, index=index, every=every, classes=table_set.classes)
        order = _Order(seed, index)
        numbers = tf.range(len(tables), dtype=tf.int64)
        if not training:
            data = reader.runs(numbers).rebatch(batch_size)
        elif most * spec.size <= cache_mb * 2**20:
            data = _from_memory(reader.runs(numbers).rebatch(most), order, batch_size)
        else:
            piece = piece_examples or spec.records(PIECE_EXAMPLES, limit=PIECE_BYTES)
            data = _streamed(reader, numbers, order, piece)
            data = data.rebatch(batch_size, drop_remainder=True)
    return ExampleDataset(on_one_thread(data.map(scaler(spec))), stream=table_set)


def _check_enough(table_set: TableSet, shard_count: int) -> None:
    if table_set.total < shard_count:
        raise DataError(
            subject=table_set.name,
            problem=f"{table_set.total} records are too few for {shard_count} workers",
        )


def _largest_part(tables: Sequence[Table], every_table: int, every_record: int) -> int:
    """Return the most records of a part, because each part must fit into memory."""
    most = max(sum(map(len, tables[i::every_table])) for i in range(every_table))
    return -(-most // every_record)


class TableSet:
    """Tables that a graph reads: their kind, their counts and what is wrong with them.

    Args:
        tables: All of the data, of which a process may read only a part.
        classes: The number of classes, if something else than the labels decides on it.

    Attributes:
        tables: The same.
        total: The number of examples they hold.
        spec: The form of their images.
        class_names: The names of the classes by label; empty if the data does not tell.
        classes: The number of classes, if it is known without reading.
    """

    def __init__(self, tables: Sequence[Table], *, classes: int | None = None) -> None:
        self.tables = list(tables)
        self.total = sum(map(len, self.tables))
        self.spec = common_spec(self.tables)
        self.class_names = names_of(self.tables)
        self.classes = classes or len(self.class_names) or None

    @property
    def kind(self) -> str:
        """The name of the tables' format, or `synthetic`."""
        return self.tables[0].kind

    @property
    def damage(self) -> list[str]:
        """A line for each damaged record left out."""
        return [line for table in self.tables for line in table.damage]

    def largest_label(self) -> int:
        """Return the largest label, by reading the data unless the number of classes is known."""
        return largest_label(self.tables) if self.classes is None else self.classes - 1

    @functools.cached_property
    def error(self) -> DataError | None:
        """The error that reading all of the data meets, or None.

        TensorFlow says `corrupted record at 99804`, but not in which file. Use it only after
        reading has failed, as it takes as long as reading does.
        """
        chunk = chunk_examples(self.spec)
        try:
            for table in self.tables:
                for start in range(0, len(table), chunk):
                    table.read(start, min(start + chunk, len(table)))
        except DataError as error:
            return error
        return None

    @property
    def name(self) -> str:
        """The files, or the first of them where there are many."""
        names = [table.name for table in self.tables]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


@dataclass(frozen=True)
class _Order:
    """Random orders: a pure function of seed, shard and position."""

    seed: Any
    shard: tf.Tensor

    def shuffle(self, values: tf.Tensor, *position: tf.Tensor | int) -> tf.Tensor:
        """Return `values` in another order for each position, which is a number or more."""
        key = tf.stack([tf.cast(self.seed, tf.int64), self.shard])
        for number in position:
            key = tf.random.experimental.stateless_fold_in(key, number)
        return tf.random.experimental.stateless_shuffle(values, key)


def _checked(index: Any, count: int) -> tf.Tensor:
    """Return the index of a part, int64; fail if there is no such part, as it would be empty."""
    index = tf.cast(index, tf.int64)
    right = tf.logical_and(index >= 0, index < count)
    check = tf.debugging.Assert(right, ["no such part:", index, "of", count])
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(index)


def _from_memory(whole: tf.data.Dataset, order: _Order, batch_size: int) -> tf.data.Dataset:
    """Make batches of one element that holds everything, kept as long as the iterator lives."""

    def batches(images: tf.Tensor, labels: tf.Tensor) -> tf.data.Dataset:
        numbers = tf.range(tf.size(labels))
        epochs = tf.data.Dataset.counter().map(lambda epoch: order.shuffle(numbers, epoch))
        picked = epochs.rebatch(batch_size, drop_remainder=True)
        return picked.map(lambda ids: (tf.gather(images, ids), tf.gather(labels, ids)))

    return whole.flat_map(batches)


def _streamed(
    reader: GraphReader, numbers: tf.Tensor, order: _Order, piece_examples: int
) -> tf.data.Dataset:
    """Make shuffled pieces, epoch after epoch, of tables in another order each time."""

    def epoch_of(epoch: tf.Tensor) -> tf.data.Dataset:
        runs = reader.runs(order.shuffle(numbers, epoch), at_once=TABLES_AT_ONCE)

        def mix(piece: tf.Tensor, examples: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            ids = order.shuffle(tf.range(tf.size(examples[1])), epoch, 1 + piece)
            return tuple(tf.gather(part, ids) for part in examples)

        return runs.rebatch(piece_examples).enumerate().map(mix)

    return tf.data.Dataset.counter().flat_map(epoch_of)
