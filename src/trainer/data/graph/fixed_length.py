"""IDX and npy files in a graph: images that stand one behind the other, and labels as constants."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from trainer.data.formats.array_table import ArrayTable
from trainer.data.graph.pixels import RAW_TYPES, images_of, raw_values
from trainer.data.graph.records import GraphRecords, TableConstants, numbered


def is_readable(tables: Sequence[ArrayTable]) -> bool:
    """Return whether a graph can read such tables: images of one form, one behind the other."""
    first = tables[0]
    forms = {(t.stored.dtype, t.form.layout, t.form.limits, t.form.spec) for t in tables}
    ordered = not any(table.stored.is_fortran for table in tables)
    return ordered and len(forms) == 1 and first.stored.dtype.name in RAW_TYPES


def records(tables: Sequence[ArrayTable], constants: TableConstants) -> GraphRecords:
    """Return how a graph reads tables that `is_readable` is true of."""
    files = [table.stored.file for table in tables]
    paths = tf.constant([str(file.path.absolute()) for file in files])
    packed = tf.constant([file.packing.upper() for file in files])
    headers = tf.constant([table.stored.offset for table in tables], tf.int64)
    size = tables[0].stored.row_bytes
    form, dtype = tables[0].form, tables[0].stored.dtype
    read = numbered(
        lambda i: tf.data.FixedLengthRecordDataset(
            paths[i], size, headers[i], compression_type=packed[i]
        )
    )

    def pixels(table: tf.Tensor, numbers: tf.Tensor, raw: tf.Tensor) -> tf.Tensor:
        return images_of(raw_values(raw, dtype), form, dtype, constants, table, numbers)

    return GraphRecords(read, constants.labelled([table.labels for table in tables], pixels))
