"""Inference of the form of records from a sample of them, and from what lies beside the file."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from trainer.config import DataError
from trainer.data.formats.example_features import BadExampleError, features_of, is_sequence
from trainer.data.formats.infer_pictures import infer_pictures
from trainer.data.formats.infer_values import infer_values
from trainer.data.formats.pixels import sampled_blocks
from trainer.data.formats.protobuf import WireError
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.record_fields import choose_fields, is_picture
from trainer.data.formats.record_file import RecordFile
from trainer.data.formats.record_form import RecordForm
from trainer.data.formats.record_labels import RecordLabels, kind_of_label
from trainer.data.formats.record_sample import Sample
from trainer.data.formats.set_description import NOTHING, SetDescription, read_description

# The most files that are looked into.
INFERRED_FILES = 4
# Records that are looked at in each place.
SAMPLED = 32


def infer_form(
    samples: Sequence[Sample], options: ReadOptions, described: SetDescription = NOTHING
) -> RecordForm:
    """Infer the form of the records of a data set.

    Args:
        samples: Some records from all over it, one at least; the first decides on the features.
        options: The names of features, size and range of the images, which come first.
        described: What is known of the data set besides.

    Raises:
        DataError: The first record has no image or no label, or the images differ.
    """
    first = samples[0]
    try:
        features = features_of(first.raw)
        fields = choose_fields(
            first.raw,
            features,
            named=options.features,
            preferred=(described.image, described.label),
        )
        kind = kind_of_label(first.raw, fields.label, features[fields.label])
        labels = RecordLabels(fields.label, kind)
        if is_picture(first.raw, features[fields.image]):
            form = infer_pictures(samples, fields, labels, options, described)
        else:
            form = infer_values(samples, features, fields, labels, options, described)
        if is_sequence(first.raw):
            return replace(form, no_graph="they are SequenceExamples")
        return replace(form, no_graph="labels are lists") if kind == "one-hot" else form
    except WireError:
        raise first.wrong("not a tf.train.Example") from None
    except BadExampleError as error:
        raise first.wrong(error.problem, error.remedy) from None


def form_of(files: Sequence[RecordFile], options: ReadOptions) -> RecordForm:
    """Infer the form of the records of some files from a sample of these.

    Args:
        files: All of a data set, one of which has a record at least.
        options: The names of features, size and range of the images, and whether damaged records
            are left out.

    Raises:
        DataError: As from `infer_form`, or the first record is damaged.
    """
    filled = [file for file in files if len(file)]
    picked = filled[:: -(-len(filled) // INFERRED_FILES)]
    samples: list[Sample] = []
    for file in picked:
        for start, stop in sampled_blocks(len(file))[: -(-INFERRED_FILES // len(picked))]:
            samples += _sampled(file, start, min(stop, start + SAMPLED), strict=not samples)
    described = read_description(picked[0].path.parent)
    try:
        return infer_form(samples, options, described)
    except DataError:
        if not options.skip_corrupt:
            raise
        for first in range(1, len(samples)):
            with contextlib.suppress(DataError):
                return infer_form(samples[first:], options, described)
        raise


def _sampled(file: RecordFile, start: int, stop: int, *, strict: bool) -> list[Sample]:
    """Return some records of a file but damaged ones, whose damage is named when they are read.

    Args:
        file: The file.
        start: The first record.
        stop: One past the last.
        strict: True to raise if the first one is damaged.

    Raises:
        DataError: It is.
    """
    try:
        messages = list(enumerate(file.messages(start, stop), start))
    except DataError:
        messages = []
        for at in range(start, stop):
            try:
                messages.append((at, file.messages(at, at + 1)[0]))
            except DataError:
                if strict and not messages:
                    raise
    numbers = file.numbers(start, stop).tolist()
    return [Sample(file.name, numbers[at - start], raw) for at, raw in messages]
