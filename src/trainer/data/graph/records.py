"""The records of a table as a graph reads and decodes them, and the parts that formats share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.data.formats.table import MOST_CLASSES, Table, wrong_label

# Takes some elements of a data set and batches them.
Pick = Callable[[tf.data.Dataset], tf.data.Dataset]
# From a table's number to batches of what was picked of its records: int64 [n], string [n].
Read = Callable[[tf.Tensor, Pick], tf.data.Dataset]
# From a table's number and such a batch to images, `dtype` [n, *shape] of their spec, and labels,
# int32 [n].
Decode = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

# As `Decode`, for images alone.
Pixels = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class GraphRecords:
    """Operations by which a graph reads the records of some tables, and makes examples of them.

    Attributes:
        read: `read(table, pick)` gives a data set of records with their numbers in the table.
        decode: `decode(table, numbers, raw)` gives images and labels.
    """

    read: Read
    decode: Decode


class TableConstants:
    """Facts that Python learned of some tables on opening, as constants of a graph.

    Args:
        tables: All of one format and image size; none is empty.
        classes: The number of classes, if something else than the labels decides on it.

    Attributes:
        spec: The form of their images.
        classes: The least number that no label may be.
        names: The names of the tables, for errors: string [tables].
        counts: The numbers of their records: int64 [tables].
        firsts: The number of their first record through all tables: int64 [tables].
    """

    def __init__(self, tables: Sequence[Table], *, classes: int | None = None) -> None:
        self.spec, self.classes = tables[0].spec, classes or MOST_CLASSES
        counts = [len(table) for table in tables]
        self._names = [table.name for table in tables]
        self.names = tf.constant(self._names)
        self.counts = tf.constant(counts, tf.int64)
        self.firsts = tf.constant([0, *itertools.accumulate(counts)][:-1], tf.int64)

    def looked_up(
        self,
        look_up: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        content: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    ) -> Read:
        """Return a reader that takes records out of what is in memory.

        Args:
            look_up: From the content and numbers through all tables, int64 [n], to the numbers in
                the table and the records, string [n].
            content: From a table's number to its content, which is asked for once.
        """

        def read(table: tf.Tensor, pick: Pick) -> tf.data.Dataset:
            first = self.firsts[table]
            ids = pick(tf.data.Dataset.range(first, first + self.counts[table]))
            whole = tf.data.Dataset.from_tensors(table).map(content)
            return whole.flat_map(lambda held: ids.map(lambda some: look_up(held, some)))

        return read

    def labelled(self, labels: Sequence[np.ndarray], pixels: Pixels | None = None) -> Decode:
        """Return a decoder of records that are pixels only.

        Args:
            labels: Those of each table, read and checked by Python: int32 [records].
            pixels: Makes images of records; by default they are images as they are.
        """
        made = pixels or self.pixels
        for name, own in zip(self._names, labels, strict=True):
            if own.max(initial=0) >= self.classes:
                row = int(np.argmax(own >= self.classes))
                raise wrong_label(int(own[row]), where=name, number=row, classes=self.classes)
        values = tf.constant(np.concatenate(labels), tf.int32)

        def decode(
            table: tf.Tensor, numbers: tf.Tensor, raw: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            ids = self.firsts[table] + numbers
            return made(table, numbers, raw), tf.gather(values, ids)

        return decode

    def pixels(self, table: tf.Tensor, numbers: tf.Tensor, raw: tf.Tensor) -> tf.Tensor:
        """Return the images, spec.dtype [n, *spec.shape], of records of pixels; check their size.

        Args:
            table: The table's number.
            numbers: Those of the records in the table, for errors: int64 [n].
            raw: The pixels: string [n].
        """
        sizes = tf.strings.length(raw)
        check = self.insist(
            sizes == self.spec.size,
            table,
            numbers,
            "bytes of image_raw are ",
            tf.strings.as_string(sizes),
            f"expected {self.spec.size}",
        )
        with tf.control_dependencies([check]):
            pixels = tf.io.decode_raw(raw, self.spec.dtype)
        return tf.reshape(pixels, (-1, *self.spec.shape))

    def insist(
        self,
        right: tf.Tensor,
        table: tf.Tensor,
        numbers: tf.Tensor,
        what: str,
        found: tf.Tensor,
        expected: str,
    ) -> tf.Operation:
        """Fail unless all of `right`, bool [n], naming the file and the first record not so."""
        row = tf.argmin(tf.cast(right, tf.int32))
        number = tf.strings.as_string(numbers[row])
        text = [self.names[table], ": record ", number, ": ", what, found[row], ", ", expected]
        return tf.debugging.Assert(tf.reduce_all(right), [tf.strings.join(text)])


def numbered(records: Callable[[tf.Tensor], tf.data.Dataset]) -> Read:
    """Return a reader of records, string scalars, that come one after the other."""
    return lambda table, pick: pick(records(table).enumerate())
