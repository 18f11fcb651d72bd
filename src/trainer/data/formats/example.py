"""`tf.train.Example` messages of labelled images, read and written by the thousand with numpy.

The records of one file nearly always share one layout: the same features in the same order with
the same lengths, so that only the pixels and the label differ from record to record. `decode`
therefore takes the layout from one record, compares all others with it byte for byte, and slices
pixels and labels out of the whole block at once; records of another layout get a turn of their
own. The messages are those of tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainer.data.formats.protobuf import (
    LENGTH_DELIMITED,
    VARINT,
    WireError,
    field,
    message_fields,
    read_varint,
    to_varint,
)
from trainer.data.formats.table import IMAGE_SHAPE, size_text

# The kinds of feature by their field in `Feature`, and the wire types of their values.
KINDS = {1: "bytes", 2: "float", 3: "int64"}
SIZES = ("height", "width", "depth")
WIRES = {"bytes": (LENGTH_DELIMITED,), "int64": (VARINT, LENGTH_DELIMITED)}


class BadExampleError(Exception):
    """Bytes that are no `tf.train.Example` with the features of a labelled image."""


@dataclass(frozen=True)
class RecordLayout:
    """The places of pixels and label in a record, and the bytes that all records with them share.

    Attributes:
        template: The record's bytes, uint8 [length].
        fixed: The spans that every record of this layout has in common: names, types, lengths and
            the image's size, but not the pixels, the label or what other features hold.
        shape: Height, width and channels.
        image: Offset of the first pixel.
        label: Offset of the label's varint.
        label_bytes: Length of that varint.
    """

    template: np.ndarray
    fixed: tuple[slice, ...]
    shape: tuple[int, ...]
    image: int
    label: int
    label_bytes: int

    def matches(self, rows: np.ndarray) -> np.ndarray:
        """Return which of `rows`, uint8 [n, length], have this layout: bool [n]."""
        same = np.ones(rows.shape[0], bool)
        for span in self.fixed:
            same &= (rows[:, span] == self.template[span]).all(axis=1)
        # The top bit of each byte says where the label's varint ends.
        label = slice(self.label, self.label + self.label_bytes)
        return same & ((rows[:, label] ^ self.template[label]) < 0x80).all(axis=1)

    def slice(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take images uint8 [n, pixels] and labels int64 [n] out of `rows`."""
        label = np.zeros(rows.shape[0], np.uint64)
        for i in range(self.label_bytes):
            seven = (rows[:, self.label + i] & 0x7F).astype(np.uint64)
            label |= seven << np.uint64(7 * i)
        return rows[:, self.image : self.image + math.prod(self.shape)], label.view(np.int64)


def encode_examples(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Serialise images as `tf.train.Example` messages.

    Args:
        images: uint8 [n, height, width, depth].
        labels: Integers [n], 0 or more.

    Returns:
        uint8 [n, length]: a message a row, with int64 features `height`, `width`, `depth`,
        `label` and the bytes feature `image_raw`, in the order of their names.
    """
    count, height, width, depth = images.shape
    pixels = height * width * depth
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
    features = _features(raw)
    image_at, _ = _value(raw, features, "image_raw", "bytes")
    rows = np.empty((count, template.size), np.uint8)
    rows[:] = template
    rows[:, image_at : image_at + pixels] = images.reshape(count, pixels)
    # The values of a packed list; its field's key and length stand before.
    stop, length = features["label"].values[1], _label_bytes(labels)
    left = np.asarray(labels, np.int64)
    for at in range(stop - length, stop):
        rows[:, at] = left & 0x7F | (0x80 if at + 1 < stop else 0)
        left = left >> 7
    return rows


def decode(
    rows: np.ndarray, *, layouts: list[RecordLayout], shape: tuple[int, ...] = IMAGE_SHAPE
) -> tuple[np.ndarray, np.ndarray]:
    """Read images and labels from serialised messages of one length.

    Args:
        rows: uint8 [n, length], a message a row.
        layouts: Layouts met before; new ones are added.
        shape: Of the images.

    Returns:
        Images uint8 [n, pixels] and labels int64 [n], not yet checked for range.

    Raises:
        BadExampleError: With the row as its second argument.
    """
    count, length = rows.shape
    known = [layout for layout in layouts if layout.template.size == length]
    images = np.empty((count, math.prod(shape)), np.uint8)
    labels = np.empty(count, np.int64)
    left = np.arange(count)
    while left.size:
        if known:
            layout = known.pop(0)
        else:
            try:
                layout = layout_of(rows[left[0]])
                if layout.shape != shape:
                    found = size_text(layout.shape)
                    raise BadExampleError(f"image size is {found}, expected {size_text(shape)}")
            except BadExampleError as error:
                raise BadExampleError(str(error), int(left[0])) from None
            layouts.append(layout)
        rest = rows if left.size == count else rows[left]
        hit = layout.matches(rest)
        if left.size == count and hit.all():
            return layout.slice(rows)
        images[left[hit]], labels[left[hit]] = layout.slice(rest[hit])
        left = left[~hit]
    return images, labels


def layout_of(record: np.ndarray) -> RecordLayout:
    """Find where the pixels and the label stand in one serialised message.

    Args:
        record: uint8 [length].

    Raises:
        BadExampleError: It is no such message, a feature is missing, of the wrong type or more
            than one value, or the image has not as many bytes as its size says.
    """
    raw = record.tobytes()
    try:
        features = _features(raw)
        image, stop = _value(raw, features, "image_raw", "bytes")
        label, label_stop = _value(raw, features, "label", "int64")
        shape = tuple(
            read_varint(raw, _value(raw, features, name, "int64")[0])[0]
            if name in features
            else size
            for name, size in zip(SIZES, IMAGE_SHAPE, strict=True)
        )
    except WireError:
        raise BadExampleError("not a tf.train.Example") from None
    if min(shape) < 1:
        raise BadExampleError(f"image size is {size_text(shape)}, expected 1 or more each")
    if stop - image != math.prod(shape):
        raise BadExampleError(
            f"'image_raw' has {stop - image} bytes, expected {math.prod(shape)} "
            f"for {size_text(shape)}"
        )
    ours = (*SIZES, "image_raw", "label")
    others = [(f.start, f.stop) for name, f in features.items() if name not in ours]
    free = sorted([(image, stop), (label, label_stop), *others])
    ends = [0, *(stop for _, stop in free)]
    starts = [*(start for start, _ in free), len(raw)]
    fixed = tuple(slice(a, b) for a, b in zip(ends, starts, strict=True))
    return RecordLayout(record.copy(), fixed, shape, image, label, label_stop - label)


@dataclass(frozen=True)
class _Feature:
    """One feature: its kind, and the spans of its message and of the list within."""

    kind: str
    start: int
    stop: int
    values: tuple[int, int]


def _features(raw: bytes) -> dict[str, _Feature]:
    """Return the features of a message by name; of several with one name the last counts."""
    found = {}
    for entries in _messages(raw, 0, len(raw), number=1):
        for entry in _messages(raw, *entries, number=1):
            parts = {
                n: (a, b)
                for n, wire, a, b in message_fields(raw, *entry)
                if wire == LENGTH_DELIMITED
            }
            if 1 not in parts or 2 not in parts:
                raise BadExampleError("a feature without name or value")
            kind, values = "nothing", (parts[2][1], parts[2][1])
            for n, wire, a, b in message_fields(raw, *parts[2]):
                if n in KINDS and wire == LENGTH_DELIMITED:
                    kind, values = KINDS[n], (a, b)
            name = raw[slice(*parts[1])].decode("utf-8", "replace")
            found[name] = _Feature(kind, *parts[2], values)
    return found


def _messages(raw: bytes, start: int, stop: int, *, number: int) -> list[tuple[int, int]]:
    """Return the spans of the messages in one field, without any other values there."""
    return [
        (a, b)
        for n, wire, a, b in message_fields(raw, start, stop)
        if (n, wire) == (number, LENGTH_DELIMITED)
    ]


def _value(raw: bytes, features: dict[str, _Feature], name: str, kind: str) -> tuple[int, int]:
    """Return the span of a feature's only value."""
    found = features.get(name)
    if found is None or found.kind != kind:
        have = f"of type {found.kind}" if found else f"not among {sorted(features)}"
        raise BadExampleError(f"feature {name!r} ({kind}) is {have}")
    spans = []
    for number, wire, start, stop in message_fields(raw, *found.values):
        if number != 1 or wire not in WIRES[kind]:
            continue
        if kind == "int64" and wire == LENGTH_DELIMITED:
            # A packed list: one varint behind the other.
            while start < stop:
                _, end = read_varint(raw, start)
                spans.append((start, end))
                start = end
            if start > stop:
                raise WireError
        else:
            spans.append((start, stop))
    if len(spans) != 1:
        raise BadExampleError(f"feature {name!r} ({kind}) holds {len(spans)} values, expected 1")
    return spans[0]


def _label_bytes(labels: np.ndarray) -> int:
    """Return the length of a varint that any of some labels fits into."""
    return len(to_varint(int(labels.max(initial=0))))


def _int64_feature(value: int) -> bytes:
    """Return a `Feature` that holds one integer (packed, as in proto3)."""
    return field(3, field(1, to_varint(value)))


def _entry(name: str, feature: bytes) -> bytes:
    """Return one entry of the map `Features.feature`."""
    return field(1, field(1, name.encode()) + field(2, feature))
