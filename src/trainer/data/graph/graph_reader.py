"""Tables read and decoded by a graph, a thousand records at a time.

What Python learned on opening (paths, offsets, counts, the labels of IDX and npy) goes into the
graph as constants; the server that runs the graph reads the records, from files at the same paths.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from trainer.data.formats.registry import FORMATS
from trainer.data.formats.table import Table
from trainer.data.graph.records import GraphRecords, TableConstants
from trainer.data.graph.views import GraphViews
from trainer.data.synthetic.embedded import SyntheticTable

# Records decoded by one call, so that the cost of a call is spread over many.
RUN = 1024


class GraphReader:
    """The reader of one part of some tables.

    Args:
        tables: All of one kind, as `open_tables` gives them; none is empty.
        index: The number of the part: int64 scalar.
        every: Tables are read whose number is `index` modulo the first, and of these the records
            whose number is modulo the second; records are counted through all tables, so that
            parts differ by one at most. One of the two is 1.
        classes: The number of classes, if something else than the labels decides on it.

    Raises:
        DataError: No graph can read tables of this kind.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        *,
        index: tf.Tensor,
        every: tuple[int, int],
        classes: int | None = None,
    ) -> None:
        self._every_table, self._every_record = every
        self._table, self._record = index % self._every_table, index % self._every_record
        self._constants = TableConstants(tables, classes=classes)
        self._views = views = GraphViews(tables, classes=classes)
        kind = tables[0].kind
        if kind == SyntheticTable.kind:
            self._records = _in_the_graph(views.tables, views.constants)
        else:
            self._records = FORMATS[kind].graph_records(views.tables, views.constants)

    def runs(self, tables: tf.Tensor, *, at_once: int = 1) -> tf.data.Dataset:
        """Return runs of images, spec.dtype [n, *spec.shape], and labels, int32 [n].

        Args:
            tables: The numbers of all tables, in the order wanted: int64 [tables].
            at_once: The number of tables to read in turns.
        """
        own_tables = tf.data.Dataset.from_tensor_slices(tables).filter(
            lambda table: table % self._every_table == self._table
        )
        return own_tables.interleave(self._runs_of, cycle_length=at_once, block_length=1)

    def _runs_of(self, table: tf.Tensor) -> tf.data.Dataset:
        step, count = self._every_record, self._constants.counts[table]
        first = tf.math.floormod(self._record - self._constants.firsts[table], step)
        expected = (count - first + step - 1) // step
        size = self._views.constants.spec.records(RUN)

        def pick(records: tf.data.Dataset) -> tf.data.Dataset:
            return records.shard(step, first).batch(size)

        runs = self._records.read(table, self._views.picking(table, pick))
        # A file that is shorter or longer than the one Python opened would pass unnoticed.
        end = tf.data.Dataset.from_tensors((tf.zeros(0, tf.int64), tf.zeros(0, tf.string)))

        def tally(before: tf.Tensor, run: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tuple]:
            size = tf.size(run[0], tf.int64)
            now = before + size
            right = tf.where(size > 0, now <= expected, now == expected)
            name, number = self._constants.names[table], tf.strings.as_string(count)
            message = [name, ": does not hold the ", number, " records it held when the job began"]
            check = tf.debugging.Assert(right, [tf.strings.join(message)])
            with tf.control_dependencies([check]):
                return tf.identity(now), run

        checked = runs.concatenate(end).scan(tf.zeros((), tf.int64), tally)
        full = checked.filter(lambda numbers, _: tf.size(numbers) > 0)

        def decode(numbers: tf.Tensor, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            images, labels = self._records.decode(table, numbers, raw)
            return self._views.adapt(table, numbers, images, labels)

        return full.map(decode)


def _in_the_graph(tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
    """Put whole tables into the graph: the synthetic digits, which no file holds."""
    images, labels = zip(*(table.read(0, len(table)) for table in tables), strict=True)
    raws = tf.constant([image.tobytes() for part in images for image in part])
    read = constants.looked_up(lambda _, ids: (ids, tf.gather(raws, ids)))
    return GraphRecords(read, constants.labelled(labels))
