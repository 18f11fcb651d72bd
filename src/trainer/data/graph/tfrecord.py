"""TFRecord files in a graph: read and parsed by TensorFlow's own operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import tensorflow as tf

from trainer.data.formats.framing import HEADER
from trainer.data.formats.record_table import TFRecordTable
from trainer.data.formats.table import Table
from trainer.data.graph.example_decoder import example_decoder
from trainer.data.graph.records import GraphRecords, Read, TableConstants, numbered


def records(tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
    """Return how a graph reads tables of TFRecord files: `TFRecordTable`."""
    files = [cast("TFRecordTable", table) for table in tables]
    paths = tf.constant([str(table.file.path.absolute()) for table in files])
    packed = tf.constant([table.file.packing.upper() for table in files])
    if any(table.damage for table in files):
        read = _read_undamaged(files, paths, packed, constants)
    else:
        read = numbered(lambda i: tf.data.TFRecordDataset(paths[i], compression_type=packed[i]))
    form = files[0].form
    assert form
    return GraphRecords(read, example_decoder(form, constants))


def _read_undamaged(
    tables: Sequence[TFRecordTable],
    paths: tf.Tensor,
    packed: tf.Tensor,
    constants: TableConstants,
) -> Read:
    """Read what Python found undamaged: TensorFlow's own reader ends at the first damage."""
    spans = np.concatenate([table.file.index() for table in tables], 1)
    numbers, offsets, lengths = map(tf.constant, spans)

    def look_up(content: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        starts, sizes = tf.gather(offsets, ids) + HEADER, tf.gather(lengths, ids)
        return tf.gather(numbers, ids), tf.strings.substr(content, starts, sizes)

    return constants.looked_up(look_up, lambda i: _unpacked(tf.io.read_file(paths[i]), packed[i]))


def _unpacked(raw: tf.Tensor, packed: tf.Tensor) -> tf.Tensor:
    """Return what a file holds; how it is packed is known only when the graph runs."""
    for kind in ("GZIP", "ZLIB"):
        raw = tf.cond(
            packed == kind,
            lambda kind=kind, raw=raw: tf.io.decode_compressed(raw, kind),
            lambda raw=raw: raw,
        )
    return raw
