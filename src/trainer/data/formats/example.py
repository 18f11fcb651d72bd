"""`tf.train.Example` messages of labelled images, written by the thousand with numpy."""

from __future__ import annotations

import numpy as np

from trainer.data.formats.example_features import features_of, only_value
from trainer.data.formats.protobuf import field, to_varint


def encode_examples(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Serialise images as `tf.train.Example` messages.

    Args:
        images: Numbers of any type [n, height, width, depth].
        labels: Integers [n], 0 or more.

    Returns:
        uint8 [n, length]: a message a row, with int64 features `height`, `width`, `depth`,
        `label` and the bytes feature `image_raw`, in the order of their names.
    """
    count, height, width, depth = images.shape
    # Little-endian, as all machines that run TensorFlow are.
    raw_pixels = (
        np.ascontiguousarray(images)
        .view(np.uint8)
        .reshape(count, height * width * depth * images.itemsize)
    )
    pixels = height * width * depth * images.itemsize
    entries = b"".join(
        _entry(name, value)
        for name, value in [
            ("depth", _int64_feature(depth)),
            ("height", _int64_feature(height)),
            ("image_raw", field(1, field(1, bytes(pixels)))),
            ("label", field(3, field(1, bytes(_label_bytes(labels))))),
            ("width", _int64_feature(width)),
        ]
    )
    template = np.frombuffer(field(1, entries), np.uint8)
    raw = template.tobytes()
    features = features_of(raw)
    image_at, _ = only_value(raw, features["image_raw"], "image_raw")
    rows = np.empty((count, template.size), np.uint8)
    rows[:] = template
    rows[:, image_at : image_at + pixels] = raw_pixels
    # The values of a packed list; its field's key and length stand before.
    stop, length = features["label"].values[1], _label_bytes(labels)
    left = np.asarray(labels, np.int64)
    for at in range(stop - length, stop):
        rows[:, at] = left & 0x7F | (0x80 if at + 1 < stop else 0)
        left = left >> 7
    return rows


def _label_bytes(labels: np.ndarray) -> int:
    """Return the length of a varint that any of some labels fits into."""
    return len(to_varint(int(labels.max(initial=0))))


def _int64_feature(value: int) -> bytes:
    """Return a `Feature` that holds one integer (packed, as in proto3)."""
    return field(3, field(1, to_varint(value)))


def _entry(name: str, feature: bytes) -> bytes:
    """Return one entry of the map `Features.feature`."""
    return field(1, field(1, name.encode()) + field(2, feature))
