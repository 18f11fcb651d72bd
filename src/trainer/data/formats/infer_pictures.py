"""Inference of the form of records that hold pictures: PNG, JPEG, WebP or BMP."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.data.formats.example_features import BadExampleError, features_of
from trainer.data.formats.image_layout import shown_shape
from trainer.data.formats.picture_header import PictureError, PictureHeader, read_header
from trainer.data.formats.protobuf import WireError
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.record_fields import RecordFields
from trainer.data.formats.record_form import RecordForm, sizes_of
from trainer.data.formats.record_labels import RecordLabels
from trainer.data.formats.record_sample import Sample
from trainer.data.formats.set_description import SetDescription
from trainer.data.formats.table import ImageSpec

RESIZE = "resize them all: --image-size H,W"


def infer_pictures(
    samples: Sequence[Sample],
    fields: RecordFields,
    labels: RecordLabels,
    options: ReadOptions,
    described: SetDescription,
) -> RecordForm:
    """Return the form of records of pictures; their headers are looked at."""
    form = RecordForm(fields, "picture", labels, ImageSpec(), resize=bool(options.image_size))
    headers: list[tuple[Sample, PictureHeader]] = []
    numbers = []
    for sample in samples:
        try:
            picture, label = form.parse(sample.raw)
            assert isinstance(picture, bytes)
            header = read_header(picture)
            known = sizes_of(sample.raw, features_of(sample.raw), fields)
        except (BadExampleError, PictureError, WireError) as error:
            # The first must be sound; damage elsewhere is named when it is read.
            if headers:
                continue
            problem = error.problem if isinstance(error, BadExampleError) else str(error)
            raise sample.wrong(f"{fields.image!r} {problem}") from None
        if None not in known[:2] and (header.height, header.width) not in (known[:2], known[1::-1]):
            raise sample.wrong(
                f"the picture is {header.size}, but the features {fields.size_names} say "
                f"{shown_shape(tuple(filter(None, known)))}",
            )
        headers.append((sample, header))
        numbers.append(label)
    first = headers[0][1]
    for sample, header in headers if options.image_size is None else []:
        if header.size != first.size:
            raise sample.wrong(f"is {header.size}, the others are {first.size}", RESIZE)
    found = {header.channels for _, header in headers}
    channels = described.shape[2] or max(found)
    height, width = options.image_size or (first.height, first.width)
    notes = [f"images are {first.kind} in {fields.image!r}, labels in {fields.label!r}"]
    if len(found) > 1:
        notes.append("some are grey and some have colours")
    if labels.kind == "int64" and len(numbers) > 1 and min(numbers) == 1:
        notes.append(
            "labels begin at 1, as in sets of models/slim that keep 0 for a background: "
            "class 0 has no examples"
        )
    return RecordForm(
        fields,
        "picture",
        labels,
        ImageSpec((height, width, 1 if channels == 1 else 3)),
        resize=form.resize,
        class_names=described.names_for(labels),
        note="; ".join(notes),
        no_graph=_no_graph([header for _, header in headers], channels),
    )


def _no_graph(headers: Sequence[PictureHeader], channels: int) -> str:
    """Return why TensorFlow's decoders cannot read such pictures; empty if they can."""
    if any(header.is_turned for header in headers):
        return "some are turned by their Exif data"
    is_grey_webp = channels == 1 and any(header.kind == "WebP" for header in headers)
    return "they hold grey WebP" if is_grey_webp else ""
