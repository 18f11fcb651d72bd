"""Inference of the form of records that hold bare pixels: bytes, or lists of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from trainer.data.formats.example_features import (
    BadExampleError,
    Feature,
    features_of,
    numbers_of,
    only_value,
)
from trainer.data.formats.image_layout import shown_shape
from trainer.data.formats.pixels import pixel_form
from trainer.data.formats.protobuf import WireError
from trainer.data.formats.raw_shape import Sizes, shape_of, type_and_shape
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.record_fields import FLAG, RecordFields
from trainer.data.formats.record_form import RecordForm, sizes_of
from trainer.data.formats.record_labels import RecordLabels
from trainer.data.formats.record_sample import Sample
from trainer.data.formats.set_description import SetDescription

# Images of bare bytes by which floats are distinguished from integers.
TYPED_IMAGES = 16


def infer_values(
    samples: Sequence[Sample],
    features: dict[str, Feature],
    fields: RecordFields,
    labels: RecordLabels,
    options: ReadOptions,
    described: SetDescription,
) -> RecordForm:
    """Return the form of records of bare values."""
    first, feature = samples[0], features[fields.image]
    known = sizes_of(first.raw, features, fields)
    if known[:2] == (None, None):
        known = described.shape
    if any(size is not None and size < 1 for size in known):
        raise BadExampleError(f"image size is {_text(known)}, expected 1 or more each")
    dtype, stored = _type_and_shape(samples, feature, fields, known, options)
    # Bytes are from 0 to 255; the range of all else shows in many images.
    shown = samples[:TYPED_IMAGES] if dtype.itemsize == 1 else samples
    sample = np.concatenate(_stored(shown, fields.image, dtype, math.prod(stored)))
    pixels = pixel_form(stored, dtype, sample, where=first.where, options=options)
    storage = feature.kind
    assert storage in ("bytes", "float", "int64")
    usual = (fields.image, fields.label, storage, dtype.str) == (
        "image_raw",
        "label",
        "bytes",
        "|u1",
    )
    what = f"{shown_shape(stored)} {dtype.name}"
    notes = [] if usual else [f"images are {what} in {fields.image!r}, labels in {fields.label!r}"]
    return RecordForm(
        fields,
        storage,  # type: ignore[arg-type]
        labels,
        pixels.spec,
        pixels,
        dtype,
        class_names=described.names_for(labels),
        note="; ".join(filter(None, [*notes, pixels.note])),
    )


def _type_and_shape(
    samples: Sequence[Sample],
    feature: Feature,
    fields: RecordFields,
    known: Sizes,
    options: ReadOptions,
) -> tuple[np.dtype, tuple[int, int, int]]:
    """Return the type of the stored values, and the shape of an image of them.

    Raises:
        BadExampleError: They are no image.
        WireError: The first record is damaged.
    """
    name, raw = fields.image, samples[0].raw
    found = None
    if feature.kind == "bytes":
        start, stop = only_value(raw, feature, name)
        count, unit = stop - start, "bytes"
        images = _stored(samples[:TYPED_IMAGES], name, np.dtype(np.uint8), count)
        if count:
            alike = [image.tobytes() for image in images]
            found = type_and_shape(alike, known, image_size=options.image_size)
    else:
        values = numbers_of(raw, feature)
        count, unit = values.size, "values"
        if shape := shape_of(count, known, image_size=options.image_size):
            found = values.dtype, shape
    if found:
        return found
    if None not in known:
        expected = math.prod(size or 0 for size in known)
        raise BadExampleError(
            f"{name!r} has {count} {unit}, expected {expected} for {_text(known)}"
        )
    size = f" of {_text(known)}" if any(known) else ""
    raise BadExampleError(
        f"{name!r} has {count} {unit}, which are neither a PNG, JPEG, WebP or BMP nor the pixels "
        f"of an image{size}",
        remedy=f"give its size: --image-size H,W, or name another feature: {FLAG}",
    )


def _stored(samples: Sequence[Sample], name: str, dtype: np.dtype, count: int) -> list[np.ndarray]:
    """Return the values of the images, [count] each; those of another form are left out."""
    found = []
    for sample in samples:
        try:
            feature = features_of(sample.raw)[name]
            if feature.kind == "bytes":
                start, stop = only_value(sample.raw, feature, name)
                if stop - start == count * dtype.itemsize:
                    found.append(np.frombuffer(sample.raw, dtype, count, start))
            else:
                values = numbers_of(sample.raw, feature)
                if values.size == count:
                    found.append(values.astype(dtype, copy=False))
        except (KeyError, BadExampleError, WireError):
            continue
    return found


def _text(sizes: tuple[int | None, int | None, int | None]) -> str:
    return "×".join("?" if size is None else str(size) for size in sizes)
