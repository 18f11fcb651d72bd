"""`tf.train.Example` messages of labelled images, read and written by the thousand with numpy.

The records of one file nearly always share one layout: the same features in the same order with
the same lengths, so that only the pixels and the label differ from record to record. `decode`
therefore takes the layout from one record, compares all others with it byte for byte, and slices
pixels and labels out of the whole block at once; records of another layout get a turn of their
own. Wire format: https://protobuf.dev/programming-guides/encoding/ and
tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trainer.data.table import IMAGE_BYTES, IMAGE_SHAPE

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class BadExampleError(Exception):
    """The bytes are no `tf.train.Example` with the features of a labelled image."""


@dataclass(frozen=True)
class Layout:
    """Where one record's pixels and label stand, and which of its bytes make it so.

    Attributes:
        template: The record's bytes, uint8 [length].
        fixed: The spans that every record of this layout has in common: names, types, lengths and
            the image's size, but not the pixels, the label or what other features hold.
        image: Offset of the first of the 784 pixels.
        label: Offset of the label's varint.
        label_bytes: Length of that varint; only one of one byte can hold a class, the others are
            read so that the message can name the label.
    """

    template: np.ndarray
    fixed: tuple[slice, ...]
    image: int
    label: int
    label_bytes: int

    def matches(self, rows: np.ndarray) -> np.ndarray:
        """Which of `rows`, uint8 [n, length], have this layout: bool [n]."""
        same = np.ones(rows.shape[0], bool)
        for span in self.fixed:
            same &= (rows[:, span] == self.template[span]).all(axis=1)
        # The top bit of each byte says where the label's varint ends.
        label = slice(self.label, self.label + self.label_bytes)
        return same & ((rows[:, label] ^ self.template[label]) < 0x80).all(axis=1)

    def slice(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take images uint8 [n, 784] and labels int64 [n] out of `rows`."""
        label = np.zeros(rows.shape[0], np.uint64)
        for i in range(self.label_bytes):
            seven = (rows[:, self.label + i] & 0x7F).astype(np.uint64)
            label |= seven << np.uint64(7 * i)
        return rows[:, self.image : self.image + IMAGE_BYTES], label.view(np.int64)


def encode(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Serialise images as `tf.train.Example` messages.

    Args:
        images: uint8 [n, height, width, depth].
        labels: Integers [n], 0 to 127.

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
            ("image_raw", _field(1, _field(1, bytes(pixels)))),
            ("label", _int64_feature(0)),
            ("width", _int64_feature(width)),
        ]
    )
    template = np.frombuffer(_field(1, entries), np.uint8)
    features = dict(_features(template.tobytes()))
    image_at, label_at = features["image_raw"].start, features["label"].start
    rows = np.empty((count, template.size), np.uint8)
    rows[:] = template
    rows[:, image_at : image_at + pixels] = images.reshape(count, pixels)
    rows[:, label_at] = labels
    return rows


def decode(rows: np.ndarray, *, layouts: list[Layout]) -> tuple[np.ndarray, np.ndarray]:
    """Read images and labels from serialised messages of one length.

    Args:
        rows: uint8 [n, length], a message a row.
        layouts: Layouts met before; new ones are added.

    Returns:
        Images uint8 [n, 784] and labels int64 [n], not yet checked for range.

    Raises:
        BadExampleError: With the row as its second argument.
    """
    count, length = rows.shape
    known = [layout for layout in layouts if layout.template.size == length]
    images = np.empty((count, IMAGE_BYTES), np.uint8)
    labels = np.empty(count, np.int64)
    left = np.arange(count)
    while left.size:
        if known:
            layout = known.pop(0)
        else:
            try:
                layout = layout_of(rows[left[0]])
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


def layout_of(record: np.ndarray) -> Layout:
    """Find where the pixels and the label stand in one serialised message.

    Args:
        record: uint8 [length].

    Raises:
        BadExampleError: It is no such message, a feature is missing or of the wrong type, or the
            image is not 28×28×1.
    """
    raw = record.tobytes()
    features = dict(_features(raw))
    for name, kind in [("image_raw", "bytes"), ("label", "int64")]:
        found = features.get(name)
        if found is None or found.kind != kind:
            have = f"of type {found.kind}" if found else f"not among {sorted(features)}"
            raise BadExampleError(f"feature {name!r} ({kind}) is {have}")
    sizes = ("height", "width", "depth")
    shape = [
        _varint(raw, features[name].start)[0] if name in features else size
        for name, size in zip(sizes, IMAGE_SHAPE, strict=True)
    ]
    image, label = features["image_raw"], features["label"]
    if tuple(shape) != IMAGE_SHAPE:
        raise BadExampleError(f"image size is {'×'.join(map(str, shape))}, expected 28×28×1")
    if image.stop - image.start != IMAGE_BYTES:
        raise BadExampleError(f"'image_raw' has {image.stop - image.start} bytes, expected 784")
    others = [f.whole for name, f in features.items() if name not in (*sizes, "image_raw", "label")]
    free = sorted([(image.start, image.stop), (label.start, label.stop), *others])
    ends = [0, *(stop for _, stop in free)]
    starts = [*(start for start, _ in free), len(raw)]
    fixed = tuple(slice(a, b) for a, b in zip(ends, starts, strict=True))
    return Layout(record.copy(), fixed, image.start, label.start, label.stop - label.start)


@dataclass(frozen=True)
class _Value:
    """One feature: its type, the span of its first value, and the span of all it holds."""

    kind: str
    start: int
    stop: int
    whole: tuple[int, int]


def _features(raw: bytes) -> Iterator[tuple[str, _Value]]:
    for number, start, stop in _fields(raw, 0, len(raw)):
        if number != 1:
            continue
        for _, entry, entry_stop in _fields(raw, start, stop):
            parts = {n: (a, b) for n, a, b in _fields(raw, entry, entry_stop)}
            if 1 not in parts or 2 not in parts:
                raise BadExampleError("a feature without name or value")
            name = raw[slice(*parts[1])].decode("utf-8", "replace")
            for oneof, a, b in _fields(raw, *parts[2]):
                kind = {1: "bytes", 2: "float", 3: "int64"}.get(oneof, "unknown")
                first = next(((x, y) for n, x, y in _fields(raw, a, b) if n == 1), (b, b))
                if kind == "int64" and first[0] < first[1]:
                    # A packed list begins with its first varint, just as an unpacked one.
                    first = (first[0], _varint(raw, first[0])[1])
                if first[0] < first[1]:
                    yield name, _Value(kind, *first, parts[2])


def _fields(raw: bytes, at: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield field number and the span of its value for each field of the message in a span."""
    while at < stop:
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            end = _varint(raw, at)[1]
        elif wire == BYTES:
            size, at = _varint(raw, at)
            end = at + size
        elif wire in (FIXED32, FIXED64):
            end = at + (4 if wire == FIXED32 else 8)
        else:
            raise BadExampleError("not a tf.train.Example")
        if end > stop or number == 0:
            raise BadExampleError("not a tf.train.Example")
        yield number, at, end
        at = end


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number that starts at `at`, and the offset behind it."""
    value = shift = 0
    while at < len(raw) and shift < 70:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise BadExampleError("not a tf.train.Example")


def _field(number: int, body: bytes) -> bytes:
    """One length-delimited field."""
    return _to_varint(number << 3 | BYTES) + _to_varint(len(body)) + body


def _int64_feature(value: int) -> bytes:
    """A `Feature` that holds one integer (packed, as proto3 has it)."""
    return _field(3, _field(1, _to_varint(value)))


def _entry(name: str, feature: bytes) -> bytes:
    """One entry of the map `Features.feature`."""
    return _field(1, _field(1, name.encode()) + _field(2, feature))


def _to_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
