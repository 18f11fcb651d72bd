"""Media types: how requests are read and answers are written."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from trainer.serving.formats import csv, image, npy, simple_json, tf_json
from trainer.serving.formats.request import PredictRequest
from trainer.serving.http.errors import HTTPError
from trainer.serving.models.signature import Signature

Reader = Callable[[bytes, Mapping[str, Signature], str | None], PredictRequest]

JSON, LINES, CSV, NPY = "application/json", "application/jsonlines", "text/csv", "application/x-npy"
READERS: dict[str, Reader] = {
    JSON: simple_json.read,
    LINES: simple_json.read_lines,
    "application/jsons": simple_json.read_lines,
    "application/x-ndjson": simple_json.read_lines,
    CSV: csv.read,
    NPY: npy.read,
    "image/png": functools.partial(image.read, kind="image/png"),
    "image/jpeg": functools.partial(image.read, kind="image/jpeg"),
}


def media_type(header: str | None) -> str:
    """The type that a Content-Type header names, without its parameters."""
    return (header or "").partition(";")[0].strip().lower()


def reader(content_type: str | None) -> Reader:
    """How a body of `/invocations` is read; JSON, if nothing is said.

    Raises:
        HTTPError: Nobody here can read that type.
    """
    kind = media_type(content_type)
    if kind and kind not in READERS:
        raise HTTPError(
            415, f"Unsupported Media Type: {kind[:80]}; expected one of {', '.join(READERS)}"
        )
    return READERS[kind or JSON]


def tf_reader(content_type: str | None) -> Reader:
    """How a body on TensorFlow Serving's paths is read.

    TensorFlow Serving takes any body for JSON, so that what curl sends by default is right.
    """
    kind = media_type(content_type)
    return tf_json.read if kind == JSON else READERS.get(kind, tf_json.read)
