"""The form of the records of a data set: where image and label stand, and what the pixels mean."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from trainer.data.formats.example_features import (
    BadExampleError,
    Feature,
    features_of,
    numbers_of,
    only_value,
    packed_floats,
)
from trainer.data.formats.pixels import PixelForm
from trainer.data.formats.protobuf import WireError, read_varint
from trainer.data.formats.record_fields import RecordFields
from trainer.data.formats.record_labels import RecordLabels
from trainer.data.formats.table import ImageSpec
from trainer.runtime import shortened

# How an image is stored: as a file of its own, as bare bytes, or as a list of numbers.
Storage = Literal["picture", "bytes", "float", "int64"]
UINT8 = np.dtype(np.uint8)


@dataclass(frozen=True)
class RecordForm:
    """The form of the records of a data set.

    Attributes:
        fields: The features of image and label.
        storage: How the image is stored.
        labels: The form of the labels.
        spec: The form of the images as they are read.
        pixels: The way from stored values to images; None for pictures.
        dtype: The type of a stored value; of no account for pictures.
        resize: True to resize pictures, False to refuse those of another size.
        class_names: The names of the classes that a description beside the files gives.
        note: What was inferred, for the log.
        no_graph: Why no graph of TensorFlow can read the records; empty if one can.
    """

    fields: RecordFields
    storage: Storage
    labels: RecordLabels
    spec: ImageSpec
    pixels: PixelForm | None = None
    dtype: np.dtype = UINT8
    resize: bool = False
    class_names: tuple[str, ...] = ()
    note: str = ""
    no_graph: str = ""

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape of an image in its record; empty for pictures."""
        return self.pixels.layout.stored if self.pixels else ()

    @property
    def stored_bytes(self) -> int:
        """The bytes of an image in its record, if it is bare bytes or a list of floats."""
        return math.prod(self.stored) * self.dtype.itemsize

    @property
    def is_sliced(self) -> bool:
        """True if pixels and label of most records can be cut out of a block of them at once."""
        return self.storage in ("bytes", "float") and self.labels.kind != "one-hot"

    @property
    def is_plain(self) -> bool:
        """True if stored values are images as they are."""
        return self.dtype == UINT8 and self.spec.shape == self.stored

    def with_names(self, names: tuple[str, ...]) -> RecordForm:
        """Return the same form with the names of the classes where labels are names."""
        return replace(self, labels=replace(self.labels, names=names))

    def parse(self, raw: bytes) -> tuple[bytes | np.ndarray, int | float | bytes]:
        """Return the image of a record, a picture or stored values [n], and its label.

        Raises:
            BadExampleError: The record is of another form.
        """
        features = features_of(raw)
        try:
            self.check_sizes(raw, features)
            label = self.labels.value(raw, self.label_feature(features))
            return self._image(raw, self.image_feature(features)), label
        except WireError:
            raise BadExampleError("not a tf.train.Example") from None

    def label(self, raw: bytes) -> int | float | bytes:
        """Return the label of a record.

        Raises:
            BadExampleError: The record is of another form.
        """
        try:
            return self.labels.value(raw, self.label_feature(features_of(raw)))
        except WireError:
            raise BadExampleError("not a tf.train.Example") from None

    def image_feature(self, features: dict[str, Feature]) -> Feature:
        """Return the feature of the image.

        Raises:
            BadExampleError: It is not there, or of several frames.
        """
        kind = "bytes" if self.storage == "picture" else self.storage
        return _single(features, self.fields.image, kind)

    def label_feature(self, features: dict[str, Feature]) -> Feature:
        """Return the feature of the label.

        Raises:
            BadExampleError: It is not there, or of several frames.
        """
        return _single(features, self.fields.label, self.labels.kind)

    def check_sizes(self, raw: bytes, features: dict[str, Feature]) -> None:
        """Raise a BadExampleError if a record of bare values says that its image has another size.

        Raises:
            WireError: The record is damaged.
        """
        if self.pixels is None:
            return
        known = sizes_of(raw, features, self.fields)
        if any(a not in (None, b) for a, b in zip(known, self.stored, strict=False)):
            text = "×".join("?" if size is None else str(size) for size in known)
            expected = "×".join(map(str, self.stored))
            raise BadExampleError(f"image size is {text}, expected {expected}")

    def image_span(self, raw: bytes, feature: Feature) -> tuple[int, int] | None:
        """Return the span of an image's pixels in a record; None if they do not stand together.

        Raises:
            BadExampleError: It is of another type or length.
            WireError: The record is damaged.
        """
        name, kind = self.fields.image, "float" if self.storage == "float" else "bytes"
        if feature.kind != kind:
            raise BadExampleError(f"feature {name!r} ({kind}) is of type {feature.kind}")
        span = packed_floats(raw, feature) if kind == "float" else only_value(raw, feature, name)
        if span and span[1] - span[0] != self.stored_bytes:
            shape = "×".join(map(str, self.stored))
            raise BadExampleError(
                f"{name!r} has {span[1] - span[0]} bytes, expected {self.stored_bytes} for {shape}"
            )
        return span

    def _image(self, raw: bytes, feature: Feature) -> bytes | np.ndarray:
        name = self.fields.image
        if self.storage == "picture":
            if feature.kind != "bytes":
                raise BadExampleError(f"feature {name!r} (bytes) is of type {feature.kind}")
            return raw[slice(*only_value(raw, feature, name))]
        if self.storage == "bytes":
            span = self.image_span(raw, feature)
            assert span
            return np.frombuffer(raw[slice(*span)], self.dtype)
        if feature.kind != self.storage:
            raise BadExampleError(f"feature {name!r} ({self.storage}) is of type {feature.kind}")
        values = numbers_of(raw, feature)
        if values.size != math.prod(self.stored):
            raise BadExampleError(
                f"{name!r} has {values.size} values, expected {math.prod(self.stored)}"
            )
        return values


def _single(features: dict[str, Feature], name: str, kind: str) -> Feature:
    found = features.get(name)
    if found is None:
        among = shortened(str(sorted(features)), 300)
        raise BadExampleError(f"feature {name!r} ({kind}) is not among {among}")
    if found.frames > 1:
        raise BadExampleError(f"feature {name!r} holds {found.frames} frames, expected 1")
    return found


def sizes_of(
    raw: bytes, features: dict[str, Feature], fields: RecordFields
) -> tuple[int | None, int | None, int | None]:
    """Return height, width and channels that a record tells of its image, None for each unknown.

    Raises:
        BadExampleError: One is of the wrong type.
        WireError: The record is damaged.
    """
    if fields.shape and fields.shape in features:
        values = numbers_of(raw, features[fields.shape]).tolist()
        if features[fields.shape].kind == "int64" and len(values) in (2, 3):
            height, width, channels = (*values, 1)[:3]
            return height, width, channels
    found: list[int | None] = []
    for name in fields.sizes:
        if name is None or name not in features:
            found.append(None)
            continue
        if features[name].kind != "int64":
            raise BadExampleError(f"feature {name!r} (int64) is of type {features[name].kind}")
        found.append(read_varint(raw, only_value(raw, features[name], name)[0])[0])
    return found[0], found[1], found[2]
