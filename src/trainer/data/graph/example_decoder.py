"""Labelled images decoded from serialised `tf.train.Example`s by TensorFlow's operations."""

from __future__ import annotations

import math

import tensorflow as tf

from trainer.data.formats.record_form import RecordForm
from trainer.data.formats.record_labels import MOST_DIGITS
from trainer.data.formats.table import size_text
from trainer.data.graph.pixels import images_of, raw_values
from trainer.data.graph.records import Decode, TableConstants

TYPES = {"int64": tf.int64, "float": tf.float32, "bytes": tf.string}


def example_decoder(form: RecordForm, constants: TableConstants) -> Decode:
    """Return a decoder of records of some form, which checks what `RecordForm.parse` checks."""
    sizes = _size_features(form)
    features = {
        form.fields.image: _image_feature(form),
        form.fields.label: tf.io.FixedLenFeature((), TYPES[form.labels.kind]),
        **{
            name: tf.io.FixedLenFeature((), tf.int64, default_value=size)
            for name, size in sizes.items()
        },
    }

    def decode(table: tf.Tensor, numbers: tf.Tensor, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = tf.io.parse_example(raw, features)
        labels = _label_numbers(form, found[form.fields.label])
        right = tf.logical_and(labels >= 0, labels < constants.classes)
        text, expected = tf.strings.as_string(labels), f"expected 0 to {constants.classes - 1}"
        checks = [constants.insist(right, table, numbers, "label ", text, expected)]
        if sizes:
            values, wanted = [found[name] for name in sizes], list(sizes.values())
            right = tf.reduce_all(tf.stack(values, 1) == tf.constant(wanted, tf.int64), axis=1)
            texts = [tf.strings.as_string(value) for value in values]
            text = tf.strings.reduce_join(texts, axis=0, separator="×")
            expected = f"expected {size_text(wanted)}"
            checks.append(constants.insist(right, table, numbers, "image size is ", text, expected))
        with tf.control_dependencies(checks):
            labels = tf.cast(labels, tf.int32)
        return _images(form, constants, table, numbers, found[form.fields.image]), labels

    return decode


def _size_features(form: RecordForm) -> dict[str, int]:
    """Return what the features of height, width and channels hold, by name."""
    if form.storage == "picture":
        return {}
    named = zip(form.fields.sizes, form.stored, strict=True)
    return {name: size for name, size in named if name}


def _image_feature(form: RecordForm) -> tf.io.FixedLenFeature:
    if form.storage in ("picture", "bytes"):
        return tf.io.FixedLenFeature((), tf.string)
    kind = tf.float32 if form.storage == "float" else tf.int64
    return tf.io.FixedLenFeature((math.prod(form.stored),), kind)


def _label_numbers(form: RecordForm, labels: tf.Tensor) -> tf.Tensor:
    """Return labels as int64 [n]; -1 for those that are no class."""
    if form.labels.kind == "int64":
        return labels
    if form.labels.kind == "float":
        whole = tf.cast(labels, tf.int64)
        return tf.where(tf.cast(whole, tf.float32) == labels, whole, -1)
    if form.labels.names:
        same = labels[:, None] == tf.constant([name.encode() for name in form.labels.names])
        return tf.where(tf.reduce_any(same, axis=1), tf.argmax(same, axis=1), -1)
    is_number = tf.strings.regex_full_match(labels, rf"[0-9]{{1,{MOST_DIGITS}}}")
    return tf.strings.to_number(tf.where(is_number, labels, "-1"), tf.int64)


def _images(
    form: RecordForm,
    constants: TableConstants,
    table: tf.Tensor,
    numbers: tf.Tensor,
    stored: tf.Tensor,
) -> tf.Tensor:
    """Return images, spec.dtype [n, *spec.shape], of what records hold; check size and range."""
    if form.storage == "picture":
        return tf.map_fn(lambda raw: _picture(form, raw), stored, fn_output_signature=tf.uint8)
    if form.storage == "bytes":
        lengths = tf.strings.length(stored)
        check = constants.insist(
            lengths == form.stored_bytes,
            table,
            numbers,
            f"bytes of {form.fields.image} are ",
            tf.strings.as_string(lengths),
            f"expected {form.stored_bytes}",
        )
        with tf.control_dependencies([check]):
            stored = raw_values(stored, form.dtype)
    assert form.pixels
    values = tf.reshape(stored, (-1, math.prod(form.stored)))
    return images_of(values, form.pixels, form.dtype, constants, table, numbers)


def _picture(form: RecordForm, raw: tf.Tensor) -> tf.Tensor:
    height, width, channels = form.spec.shape
    image = _decoded(raw, channels)
    if form.resize:
        image = tf.image.resize(image, (height, width), antialias=True)
        image = tf.cast(tf.round(image), tf.uint8)
    return tf.ensure_shape(image, (height, width, channels))


def _decoded(raw: tf.Tensor, channels: int) -> tf.Tensor:
    """Decode a picture, uint8 [height, width, channels]."""
    if channels == 1:
        return tf.io.decode_image(raw, channels=channels, expand_animations=False)
    # A picture may be shorter than its mark.
    head = tf.strings.join([tf.strings.substr(raw, 0, 12), "\0" * 12])
    return tf.cond(
        tf.strings.substr(head, 8, 4) == "WEBP",
        # One with transparency has four channels, and TensorFlow leaves none out.
        lambda: tf.io.decode_image(raw, expand_animations=False)[..., :channels],
        lambda: tf.io.decode_image(raw, channels=channels, expand_animations=False),
    )
