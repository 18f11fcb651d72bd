"""Stored values made images in a graph, as `PixelForm.images` does outside of one."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from trainer.data.formats.pixels import PixelForm
from trainer.data.formats.resize import weights_of
from trainer.data.formats.table import ImageSpec
from trainer.data.graph.records import TableConstants

# The types of stored values that TensorFlow reads from bytes.
RAW_TYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "float16", "float32",
             "float64")  # fmt: skip


def raw_values(raw: tf.Tensor, dtype: np.dtype) -> tf.Tensor:
    """Return the values that strings of one length hold: [n, values]; booleans as uint8."""
    kind = "uint8" if dtype.kind == "b" else dtype.name
    return tf.io.decode_raw(raw, kind, little_endian=dtype.byteorder != ">")


def images_of(
    values: tf.Tensor,
    form: PixelForm,
    dtype: np.dtype,
    constants: TableConstants,
    table: tf.Tensor,
    numbers: tf.Tensor,
) -> tf.Tensor:
    """Return images, spec.dtype [n, *spec.shape]; fail where a pixel is outside of the range.

    Args:
        values: Those of some records, [n, values].
        form: The way from them to images.
        dtype: The type in which they are stored.
        constants: Of the tables.
        table: The table's number.
        numbers: Those of the records in the table, for errors: int64 [n].
    """
    checks = []
    if dtype.kind == "f" or dtype.name not in (form.spec.dtype, "bool"):
        low, high = form.limits
        least, most = tf.reduce_min(values, axis=1), tf.reduce_max(values, axis=1)
        wide = tf.cast(values, tf.float64)
        # A minimum need not be NaN where a value is.
        right = tf.reduce_all(tf.logical_and(wide >= low, wide <= high), axis=1)
        text = tf.strings.join([tf.strings.as_string(least), " to ", tf.strings.as_string(most)])
        expected = f"expected {low:g} to {high:g}"
        checks.append(constants.insist(right, table, numbers, "pixels are ", text, expected))
    with tf.control_dependencies(checks):
        images = tf.cast(_arranged(values, form), form.spec.dtype)
    return resized(images, form.layout.shape, form.spec)


def resized(images: tf.Tensor, old: tuple[int, int, int], new: ImageSpec) -> tf.Tensor:
    """Return images in another size, as `resize_images` does outside of a graph."""
    if old == new.shape:
        return images
    (height, width, channels), (rows, columns, _) = old, new.shape
    values = tf.reshape(tf.cast(images, tf.float32), (-1, height, width * channels))
    values = tf.matmul(tf.constant(weights_of(height, rows)), values)
    values = tf.reshape(values, (-1, width, channels))
    values = tf.matmul(tf.constant(weights_of(width, columns)), values)
    kind = tf.as_dtype(new.dtype)
    if kind.is_integer:
        values = tf.clip_by_value(tf.round(values), kind.min, kind.max)
    return tf.cast(tf.reshape(values, (-1, *new.shape)), kind)


def _arranged(values: tf.Tensor, form: PixelForm) -> tf.Tensor:
    """Return stored values as images [n, *layout.shape], see `ImageLayout.arrange`."""
    layout = form.layout
    height, width, channels = layout.shape
    stored = channels + layout.has_alpha
    if layout.channels_first:
        images = tf.transpose(tf.reshape(values, (-1, stored, height, width)), (0, 2, 3, 1))
    else:
        images = tf.reshape(values, (-1, height, width, stored))
    return images[..., :channels]
