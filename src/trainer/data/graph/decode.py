"""Tables read and decoded by a graph, a thousand records at a time.

What Python learned on opening (paths, offsets, counts, the labels of IDX and npy) goes into the
graph as constants; whoever runs the graph reads the records, from files at the same paths.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from trainer.data.formats.example import SIZES
from trainer.data.formats.framing import HEADER
from trainer.data.formats.idx import IdxTable
from trainer.data.formats.npy import NpyTable
from trainer.data.formats.reader import Unpacked
from trainer.data.formats.table import CLASSES, IMAGE_BYTES, IMAGE_SHAPE, Table
from trainer.data.formats.tfrecord import TFRecordTable

# Decoded at a time: what one call costs is then spread over many.
RUN = 1024

FEATURES = {
    "image_raw": tf.io.FixedLenFeature((), tf.string),
    "label": tf.io.FixedLenFeature((), tf.int64),
    **{
        name: tf.io.FixedLenFeature((), tf.int64, default_value=size)
        for name, size in zip(SIZES, IMAGE_SHAPE, strict=True)
    },
}

# Takes some elements of a data set and puts them together by the run.
Pick = Callable[[tf.data.Dataset], tf.data.Dataset]
# From a table's number to runs of what was picked of its records: int64 [n], string [n].
Read = Callable[[tf.Tensor, Pick], tf.data.Dataset]
# From a table's number and such a run to images uint8 [n, 28, 28, 1] and labels uint8 [n].
Decode = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class GraphReader:
    """One part of some tables.

    Args:
        tables: All of one kind, as `open_tables` gives them; none is empty.
        index: Which part: int64 scalar.
        every_table: Tables are read whose number is `index` modulo this,
        every_record: and of these the records whose number is; records are counted through all
            tables, so that parts differ by one at most. One of the two is 1.
    """

    def __init__(
        self, tables: Sequence[Table], *, index: tf.Tensor, every_table: int, every_record: int
    ) -> None:
        self._every_table, self._every_record = every_table, every_record
        self._table, self._record = index % every_table, index % every_record
        self._names = tf.constant([table.name for table in tables])
        counts = [len(table) for table in tables]
        self._counts = tf.constant(counts, tf.int64)
        self._firsts = tf.constant([0, *itertools.accumulate(counts)][:-1], tf.int64)
        self._read, self._decode = self._form(tables)

    def runs(self, tables: tf.Tensor, *, at_once: int = 1) -> tf.data.Dataset:
        """Runs of images, uint8 [n, 28, 28, 1], and labels, uint8 [n].

        Args:
            tables: The numbers of all tables, in the order wanted: int64 [tables].
            at_once: How many to read in turns.
        """
        mine = tf.data.Dataset.from_tensor_slices(tables).filter(
            lambda table: table % self._every_table == self._table
        )
        return mine.interleave(self._runs_of, cycle_length=at_once, block_length=1)

    def _runs_of(self, table: tf.Tensor) -> tf.data.Dataset:
        step, count = self._every_record, self._counts[table]
        first = tf.math.floormod(self._record - self._firsts[table], step)
        expected = (count - first + step - 1) // step
        runs = self._read(table, lambda records: records.shard(step, first).batch(RUN))
        # A file that is shorter or longer than the one Python opened would pass unnoticed.
        end = tf.data.Dataset.from_tensors((tf.zeros(0, tf.int64), tf.zeros(0, tf.string)))

        def tally(seen: tf.Tensor, run: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tuple]:
            size = tf.size(run[0], tf.int64)
            now = seen + size
            right = tf.where(size > 0, now <= expected, now == expected)
            text = [self._names[table], ": does not hold the ", tf.strings.as_string(count)]
            told = tf.strings.join([*text, " records it held when the job began"])
            with tf.control_dependencies([tf.debugging.Assert(right, [told])]):
                return tf.identity(now), run

        checked = runs.concatenate(end).scan(tf.zeros((), tf.int64), tally)
        full = checked.filter(lambda numbers, _: tf.size(numbers) > 0)
        return full.map(lambda numbers, raw: self._decode(table, numbers, raw))

    def _form(self, tables: Sequence[Table]) -> tuple[Read, Decode]:
        """How tables of this kind are read."""
        if records := [table for table in tables if isinstance(table, TFRecordTable)]:
            paths = tf.constant([str(table.path.absolute()) for table in records])
            if any(table.damage for table in records):
                return self._read_undamaged(records, paths), self._examples
            return _numbered(lambda i: tf.data.TFRecordDataset(paths[i])), self._examples
        if files := [table for table in tables if isinstance(table, IdxTable | NpyTable)]:
            return self._read_fixed(files), self._labelled([table.labels for table in files])
        images, labels = zip(*(table.read(0, len(table)) for table in tables), strict=True)
        raws = tf.constant([image.tobytes() for part in images for image in part])
        return self._looked_up(lambda _, ids: (ids, tf.gather(raws, ids))), self._labelled(labels)

    def _read_fixed(self, tables: Sequence[IdxTable | NpyTable]) -> Read:
        """Read images of IDX and npy files, which stand one behind the other."""
        files = [table.images for table in tables]
        paths = tf.constant([str(file.path.absolute()) for file in files])
        packed = tf.constant(["GZIP" if isinstance(file, Unpacked) else "" for file in files])
        headers = tf.constant([table.offset for table in tables], tf.int64)
        return _numbered(
            lambda i: tf.data.FixedLengthRecordDataset(
                paths[i], IMAGE_BYTES, headers[i], compression_type=packed[i]
            )
        )

    def _read_undamaged(self, tables: Sequence[TFRecordTable], paths: tf.Tensor) -> Read:
        """Read what Python found undamaged: TensorFlow's own reader ends at the first damage."""
        spans = np.concatenate([np.stack([t.numbers, t.offsets, t.lengths]) for t in tables], 1)
        numbers, offsets, lengths = map(tf.constant, spans)

        def look_up(content: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            starts, sizes = tf.gather(offsets, ids) + HEADER, tf.gather(lengths, ids)
            return tf.gather(numbers, ids), tf.strings.substr(content, starts, sizes)

        return self._looked_up(look_up, lambda i: tf.io.read_file(paths[i]))

    def _looked_up(
        self,
        look_up: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        content: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    ) -> Read:
        """Read records by their numbers through all tables, from what `content` gives once."""

        def read(table: tf.Tensor, pick: Pick) -> tf.data.Dataset:
            first = self._firsts[table]
            ids = pick(tf.data.Dataset.range(first, first + self._counts[table]))
            whole = tf.data.Dataset.from_tensors(table).map(content)
            return whole.flat_map(lambda held: ids.map(lambda some: look_up(held, some)))

        return read

    def _labelled(self, labels: Sequence[np.ndarray]) -> Decode:
        """Decode records that are pixels only; Python has read and checked the labels."""
        values = tf.constant(np.concatenate(labels))

        def decode(
            table: tf.Tensor, numbers: tf.Tensor, raw: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            ids = self._firsts[table] + numbers
            return self._pixels(table, numbers, raw), tf.gather(values, ids)

        return decode

    def _examples(
        self, table: tf.Tensor, numbers: tf.Tensor, raw: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Decode serialised `tf.train.Example`s, and check what `example.decode` checks."""
        found = tf.io.parse_example(raw, FEATURES)
        label, sizes = found["label"], [found[name] for name in SIZES]
        shapes = tf.strings.reduce_join(
            [tf.strings.as_string(size) for size in sizes], axis=0, separator="×"
        )
        right = tf.reduce_all(tf.stack(sizes, 1) == tf.constant(IMAGE_SHAPE, tf.int64), axis=1)
        checks = [
            self._insist(right, table, numbers, "image size is ", shapes, "expected 28×28×1"),
            self._insist(
                tf.logical_and(label >= 0, label < CLASSES),
                table,
                numbers,
                "label ",
                tf.strings.as_string(label),
                f"expected 0 to {CLASSES - 1}",
            ),
        ]
        with tf.control_dependencies(checks):
            labels = tf.cast(label, tf.uint8)
        return self._pixels(table, numbers, found["image_raw"]), labels

    def _pixels(self, table: tf.Tensor, numbers: tf.Tensor, raw: tf.Tensor) -> tf.Tensor:
        """Images of as many pixels as they should have."""
        sizes = tf.strings.length(raw)
        check = self._insist(
            sizes == IMAGE_BYTES,
            table,
            numbers,
            "bytes of image_raw are ",
            tf.strings.as_string(sizes),
            f"expected {IMAGE_BYTES}",
        )
        with tf.control_dependencies([check]):
            pixels = tf.io.decode_raw(raw, tf.uint8)
        return tf.reshape(pixels, (-1, *IMAGE_SHAPE))

    def _insist(
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
        text = [self._names[table], ": record ", number, ": ", what, found[row], ", ", expected]
        return tf.debugging.Assert(tf.reduce_all(right), [tf.strings.join(text)])


def _numbered(records: Callable[[tf.Tensor], tf.data.Dataset]) -> Read:
    """Read records, string scalars, one after the other."""
    return lambda table, pick: pick(records(table).enumerate())
