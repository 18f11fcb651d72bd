"""Records of one length, read by the thousand with numpy.

The records of one file nearly always share one layout: the same features in the same order with
the same lengths, so that only the pixels and the label differ from record to record. `decode`
therefore takes the layout from one record, compares all others with it byte for byte, and slices
pixels and labels out of the whole block at once; records of another layout get a turn of their
own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainer.data.formats.example_features import BadExampleError, features_of, only_value
from trainer.data.formats.protobuf import WireError
from trainer.data.formats.record_form import RecordForm


@dataclass(frozen=True)
class RecordLayout:
    """The places of pixels and label in a record, and the bytes that all records with them share.

    Attributes:
        template: The record's bytes, uint8 [length].
        fixed: The spans that every record of this layout has in common: names, types, lengths and
            the image's size, but not the pixels, the label or what other features hold.
        image: The span of the pixels.
        label: The span of the label.
        label_kind: The type of the label.
    """

    template: np.ndarray
    fixed: tuple[slice, ...]
    image: slice
    label: slice
    label_kind: Literal["int64", "float", "bytes"]

    def matches(self, rows: np.ndarray) -> np.ndarray:
        """Return which of `rows`, uint8 [n, length], have this layout: bool [n]."""
        same = np.ones(rows.shape[0], bool)
        for span in self.fixed:
            same &= (rows[:, span] == self.template[span]).all(axis=1)
        if self.label_kind != "int64":
            return same
        # The top bit of each byte says where the label's varint ends.
        return same & ((rows[:, self.label] ^ self.template[self.label]) < 0x80).all(axis=1)

    def slice(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take pixels, uint8 [n, bytes], and labels [n], as they are stored, out of `rows`."""
        values = rows[:, self.label]
        if self.label_kind == "bytes":
            width = values.shape[1]
            return rows[:, self.image], np.ascontiguousarray(values).view(f"S{width}")[:, 0]
        if self.label_kind == "float":
            return rows[:, self.image], np.ascontiguousarray(values).view("<f4")[:, 0]
        label = np.zeros(rows.shape[0], np.uint64)
        for i in range(values.shape[1]):
            label |= (values[:, i] & 0x7F).astype(np.uint64) << np.uint64(7 * i)
        return rows[:, self.image], label.view(np.int64)


def decode(
    rows: np.ndarray, form: RecordForm, *, layouts: list[RecordLayout]
) -> tuple[np.ndarray, np.ndarray]:
    """Read images and labels from serialised messages of one length.

    Args:
        rows: uint8 [n, length], a message a row.
        form: The form of the records, which is sliced.
        layouts: Layouts met before; new ones are added.

    Returns:
        Stored values, `form.dtype` [n, values], and labels int64 [n], not yet checked for range.

    Raises:
        BadExampleError: A message is of another form.
    """
    count, length = rows.shape
    known = [layout for layout in layouts if layout.template.size == length]
    images = labels = None
    left = np.arange(count)
    while left.size:
        layout = known.pop(0) if known else _next_layout(rows, left, form, layouts)
        rest = rows if left.size == count else rows[left]
        hit = layout.matches(rest) if layout else np.arange(left.size) == 0
        if layout:
            pixels, found = layout.slice(rest if hit.all() else rest[hit])
        else:
            pixels, found = _parsed(rest[0], form)
        try:
            ids = form.labels.ids(found)
        except BadExampleError as error:
            at = int(left[np.flatnonzero(hit)[error.row]])
            raise BadExampleError(error.problem, at, remedy=error.remedy) from None
        if left.size == count and hit.all():
            return _as_values(pixels, form), ids
        if images is None or labels is None:
            images = np.empty((count, form.stored_bytes), np.uint8)
            labels = np.empty(count, np.int64)
        images[left[hit]], labels[left[hit]] = pixels, ids
        left = left[~hit]
    assert images is not None
    assert labels is not None
    return _as_values(images, form), labels


def layout_of(record: np.ndarray, form: RecordForm) -> RecordLayout | None:
    """Find where the pixels and the label stand in one serialised message.

    Args:
        record: uint8 [length].
        form: The form of the records.

    Returns:
        The layout; None if the pixels do not stand together.

    Raises:
        BadExampleError: It is no such message, a feature is missing, of the wrong type or more
            than one value, or the image is of another size.
    """
    raw = record.tobytes()
    features = features_of(raw)
    try:
        form.check_sizes(raw, features)
        image = form.image_span(raw, form.image_feature(features))
        feature = form.label_feature(features)
        form.labels.value(raw, feature)
        label = only_value(raw, feature, form.fields.label)
    except WireError:
        raise BadExampleError("not a tf.train.Example") from None
    if image is None:
        return None
    ours = (form.fields.image, form.fields.label, *form.fields.size_names)
    others = [(f.start, f.stop) for name, f in features.items() if name not in ours]
    free = sorted([image, label, *others])
    ends = [0, *(stop for _, stop in free)]
    starts = [*(start for start, _ in free), len(raw)]
    fixed = tuple(slice(a, b) for a, b in zip(ends, starts, strict=True))
    kind = form.labels.kind
    assert kind != "one-hot"
    return RecordLayout(record.copy(), fixed, slice(*image), slice(*label), kind)


def _next_layout(
    rows: np.ndarray, left: np.ndarray, form: RecordForm, layouts: list[RecordLayout]
) -> RecordLayout | None:
    """Return the layout of the first row that is left, which is added to those that are known."""
    try:
        layout = layout_of(rows[left[0]], form)
    except BadExampleError as error:
        raise BadExampleError(error.problem, int(left[0]), remedy=error.remedy) from None
    if layout:
        layouts.append(layout)
    return layout


def _parsed(row: np.ndarray, form: RecordForm) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels, uint8 [1, bytes], and label [1] of a message that cannot be sliced."""
    image, label = form.parse(row.tobytes())
    assert isinstance(image, np.ndarray)
    pixels = np.ascontiguousarray(image, form.dtype).view(np.uint8)
    return pixels[None], np.array([label])


def _as_values(pixels: np.ndarray, form: RecordForm) -> np.ndarray:
    """Return bytes of pixels, uint8 [n, bytes], as the numbers that they are."""
    return pixels if form.dtype.itemsize == 1 else np.ascontiguousarray(pixels).view(form.dtype)
