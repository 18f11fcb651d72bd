"""TFRecord files in a graph: read and parsed by TensorFlow's own operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import tensorflow as tf

from trainer.data.formats.example import SIZES
from trainer.data.formats.framing import HEADER
from trainer.data.formats.table import IMAGE_SHAPE, Table, size_text
from trainer.data.formats.tfrecord import TFRecordTable
from trainer.data.graph.records import Decode, GraphRecords, Read, TableConstants, numbered

FEATURES = {
    "image_raw": tf.io.FixedLenFeature((), tf.string),
    "label": tf.io.FixedLenFeature((), tf.int64),
    **{
        name: tf.io.FixedLenFeature((), tf.int64, default_value=size)
        for name, size in zip(SIZES, IMAGE_SHAPE, strict=True)
    },
}


def records(tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
    """Return how a graph reads tables of TFRecord files: `TFRecordTable`."""
    files = [cast("TFRecordTable", table) for table in tables]
    paths = tf.constant([str(table.path.absolute()) for table in files])
    packed = tf.constant([table.packing.upper() for table in files])
    if any(table.damage for table in files):
        read = _read_undamaged(files, paths, packed, constants)
    else:
        read = numbered(lambda i: tf.data.TFRecordDataset(paths[i], compression_type=packed[i]))
    return GraphRecords(read, _examples(constants))


def _read_undamaged(
    tables: Sequence[TFRecordTable],
    paths: tf.Tensor,
    packed: tf.Tensor,
    constants: TableConstants,
) -> Read:
    """Read what Python found undamaged: TensorFlow's own reader ends at the first damage."""
    spans = np.concatenate([np.stack([t.numbers, t.offsets, t.lengths]) for t in tables], 1)
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


def _examples(constants: TableConstants) -> Decode:
    """Decode serialised `tf.train.Example`s, and check what `example.decode` checks."""
    shape, classes = constants.spec.shape, constants.classes

    def decode(table: tf.Tensor, numbers: tf.Tensor, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = tf.io.parse_example(raw, FEATURES)
        label, sizes = found["label"], [found[name] for name in SIZES]
        shapes = tf.strings.reduce_join(
            [tf.strings.as_string(size) for size in sizes], axis=0, separator="×"
        )
        right = tf.reduce_all(tf.stack(sizes, 1) == tf.constant(shape, tf.int64), axis=1)
        expected = f"expected {size_text(shape)}"
        checks = [
            constants.insist(right, table, numbers, "image size is ", shapes, expected),
            constants.insist(
                tf.logical_and(label >= 0, label < classes),
                table,
                numbers,
                "label ",
                tf.strings.as_string(label),
                f"expected 0 to {classes - 1}",
            ),
        ]
        with tf.control_dependencies(checks):
            labels = tf.cast(label, tf.int32)
        return constants.pixels(table, numbers, found["image_raw"]), labels

    return decode
