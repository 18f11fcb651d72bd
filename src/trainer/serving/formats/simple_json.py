"""JSON as people send it to SageMaker: TensorFlow Serving's form, or values without any form.

    [[6.4, 3.2, 4.5, 1.5]]       instances
    [6.4, 3.2, 4.5, 1.5]         one instance
    {"a": [1], "b": [2]}         one instance of a model with the inputs a and b
    [1, 2] [3, 4]                one instance after the other, on lines of their own or not

The shape of a list decides whether it is one instance or several.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from trainer.serving.formats import json_arrays, large, numbers, tf_json
from trainer.serving.formats.request import (
    PredictRequest,
    RequestReader,
    checked_request,
    choose_signature,
)
from trainer.serving.http.errors import HTTPError, bad_request, shown_value
from trainer.serving.models.signature import Signature

FORMS = {"instances", "inputs"}
_FULL = re.compile(r"\S")
_DECODER = json.JSONDecoder()


def read(
    body: bytes, signatures: Mapping[str, Signature], name: str | None = None
) -> PredictRequest:
    """Read a body of the type application/json.

    Raises:
        HTTPError: The body is no JSON, or does not fit the signature.
    """
    if len(body) > large.LARGE:
        return _read_large(body, signatures, name, (_document, _read_many))
    begin = body.lstrip()[:1]
    if begin == b"[":
        signature = choose_signature(signatures, name)
        if len(signature.inputs) == 1:
            (tensor,) = signature.inputs
            rows = numbers.read(body, tensor)
            if rows is None:
                rows = numbers.read(b"[" + body + b"]", tensor)
            if rows is not None:
                return checked_request(signature, {tensor.name: rows})
    elif begin == b"{" and b'"instances"' in body:
        # The usual case. If it is no JSON as a whole, it may be several documents in a row.
        try:
            return tf_json.read(body, signatures, name)
        except HTTPError as error:
            if not error.message.startswith("JSON Parse error"):
                raise
    try:
        document = tf_json.parse(body)
    except HTTPError as error:
        several = _several(body)
        if several is None:
            raise error from None
        return tf_json.from_rows(several, choose_signature(signatures, name))
    return _from_document(document, signatures, name)


def _from_document(
    document: Any, signatures: Mapping[str, Signature], name: str | None
) -> PredictRequest:
    """Read a parsed document: TensorFlow Serving's form, or values without any form."""
    if isinstance(document, dict) and FORMS & document.keys():
        return tf_json.from_object(document, signatures, name)
    signature = choose_signature(signatures, name)
    if isinstance(document, large.Array):
        objects = document.of_objects
    elif isinstance(document, list):
        objects = not document or isinstance(document[0], dict)
    else:
        return tf_json.from_rows([document], signature)
    if not objects and len(signature.inputs) == 1:
        (tensor,) = signature.inputs
        return checked_request(
            signature, {tensor.name: json_arrays.array_of(document, tensor, single=True)}
        )
    return tf_json.from_rows(document, signature)


def read_lines(
    body: bytes, signatures: Mapping[str, Signature], name: str | None = None
) -> PredictRequest:
    """Read a body of the type application/jsonlines or application/jsons.

    Raises:
        HTTPError: The values do not fit the signature.
    """
    if len(body) > large.LARGE:
        return _read_large(body, signatures, name, (_read_many, _document))
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) == 1:
        return _read_line(lines[0], signatures, name)
    try:
        return _read_each(lines, choose_signature(signatures, name))
    except ValueError:
        # Values may go over several lines.
        return read(body, signatures, name)


def _read_each(lines: list[bytes], signature: Signature) -> PredictRequest:
    """Read lines, each of which is an instance.

    Raises:
        ValueError: A line is no JSON.
        HTTPError: The values do not fit the signature.
    """
    if len(signature.inputs) == 1:
        (tensor,) = signature.inputs
        # Lines that are joined to one array are parsed by one call.
        rows = numbers.read(b"[" + b",".join(lines) + b"]", tensor)
        if rows is not None:
            return checked_request(signature, {tensor.name: rows})
    return tf_json.from_rows([orjson.loads(line) for line in lines], signature)


def _read_large(
    body: bytes,
    signatures: Mapping[str, Signature],
    name: str | None,
    ways: tuple[RequestReader, RequestReader],
) -> PredictRequest:
    """Read a body in pieces by the first reader, or by the second if the first finds no JSON."""
    try:
        return ways[0](body, signatures, name)
    except HTTPError as error:
        if not error.message.startswith("JSON Parse error"):
            raise
        try:
            return ways[1](body, signatures, name)
        except HTTPError:
            raise error from None


def _document(body: bytes, signatures: Mapping[str, Signature], name: str | None) -> PredictRequest:
    return _from_document(tf_json.parse(body), signatures, name)


def _read_many(
    body: bytes, signatures: Mapping[str, Signature], name: str | None
) -> PredictRequest:
    signature = choose_signature(signatures, name)
    parts: dict[str, list[np.ndarray]] = {tensor.name: [] for tensor in signature.inputs}
    pieces = large.lines(body)
    for piece in pieces:
        if len(piece) == len(body):
            # The body is a single line.
            return _document(body, signatures, name)
        try:
            found = _read_each([line for line in piece.splitlines() if line.strip()], signature)
        except ValueError as error:
            raise bad_request(
                f"JSON Parse error: in a line of the body: {shown_value(error)}"
            ) from None
        for key, array in found.arrays.items():
            parts[key].append(array)
    arrays = {t.name: large.join_rows(parts[t.name], t) for t in signature.inputs}
    return checked_request(signature, arrays)


def _read_line(
    line: bytes, signatures: Mapping[str, Signature], name: str | None
) -> PredictRequest:
    """Read a single line as one instance, unless it has a form or exactly the shape of a batch.

    Flat values are no batch here, as a client that sends one line expects one prediction.
    """
    try:
        value = orjson.loads(line)
    except ValueError:
        return read(line, signatures, name)
    if not isinstance(value, list):
        return read(line, signatures, name)
    signature = choose_signature(signatures, name)
    if len(signature.inputs) == 1:
        (tensor,) = signature.inputs
        made = json_arrays.typed_array(value, tensor)
        if tensor.shape is not None and tensor.fits(made.shape):
            return checked_request(signature, {tensor.name: made})
        value = [value]
    return tf_json.from_rows(value, signature)


def _several(body: bytes) -> list[Any] | None:
    """Return the JSON values of a body that holds several in a row, else None."""
    try:
        several = list(_values(body.decode()))
    except (ValueError, RecursionError):
        return None
    return several if len(several) > 1 else None


def _values(text: str) -> Iterator[Any]:
    at = 0
    while found := _FULL.search(text, at):
        value, at = _DECODER.raw_decode(text, found.start())
        yield value
