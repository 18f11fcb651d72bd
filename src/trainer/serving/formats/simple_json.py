"""JSON as people send it to SageMaker: TensorFlow Serving's form, or values without any form.

    [[6.4, 3.2, 4.5, 1.5]]       instances
    [6.4, 3.2, 4.5, 1.5]         one instance
    {"a": [1], "b": [2]}         one instance of a model with the inputs a and b
    [1, 2] [3, 4]                one instance after the other, on lines of their own or not

Which a list is, is told by its shape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from trainer.serving.formats import large, numbers, tf_json, values
from trainer.serving.formats.request import PredictRequest, RequestReader, checked, choose
from trainer.serving.http.errors import HTTPError, bad_request, shown
from trainer.serving.models.signature import Signature

FORMS = {"instances", "inputs"}
_FULL = re.compile(r"\S")
_DECODER = json.JSONDecoder()


def read(
    body: bytes, signatures: Mapping[str, Signature], name: str | None = None
) -> PredictRequest:
    """Read a body of the type application/json.

    Raises:
        HTTPError: It is no JSON, or not as the signature has it.
    """
    if len(body) > large.LARGE:
        return _read_large(body, signatures, name, (_document, _read_many))
    begin = body.lstrip()[:1]
    if begin == b"[":
        signature = choose(signatures, name)
        if len(signature.inputs) == 1:
            (tensor,) = signature.inputs
            rows = numbers.read(body, tensor)
            if rows is None:
                rows = numbers.read(b"[" + body + b"]", tensor)
            if rows is not None:
                return checked(signature, {tensor.name: rows})
    elif begin == b"{" and b'"instances"' in body:
        # The usual case; what else it may be is looked into where this is not what it says.
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
        return tf_json.from_rows(several, choose(signatures, name))
    return _from_document(document, signatures, name)


def _from_document(
    document: Any, signatures: Mapping[str, Signature], name: str | None
) -> PredictRequest:
    """Read what has been parsed: TensorFlow Serving's form, or values without any."""
    if isinstance(document, dict) and FORMS & document.keys():
        return tf_json.from_object(document, signatures, name)
    signature = choose(signatures, name)
    if isinstance(document, large.Array):
        objects = document.of_objects
    elif isinstance(document, list):
        objects = not document or isinstance(document[0], dict)
    else:
        return tf_json.from_rows([document], signature)
    if not objects and len(signature.inputs) == 1:
        (tensor,) = signature.inputs
        return checked(signature, {tensor.name: values.array(document, tensor, single=True)})
    return tf_json.from_rows(document, signature)


def read_lines(
    body: bytes, signatures: Mapping[str, Signature], name: str | None = None
) -> PredictRequest:
    """Read a body of the type application/jsonlines or application/jsons.

    Raises:
        HTTPError: It is not as the signature has it.
    """
    if len(body) > large.LARGE:
        return _read_large(body, signatures, name, (_read_many, _document))
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) == 1:
        return _read_line(lines[0], signatures, name)
    try:
        return _read_each(lines, choose(signatures, name))
    except ValueError:
        # Values may go over several lines.
        return read(body, signatures, name)


def _read_each(lines: list[bytes], signature: Signature) -> PredictRequest:
    """Read lines that are an instance each.

    Raises:
        ValueError: One of them is no JSON.
        HTTPError: They are not as the signature has it.
    """
    if len(signature.inputs) == 1:
        (tensor,) = signature.inputs
        # One array of all: the values need not be looked at twice.
        rows = numbers.read(b"[" + b",".join(lines) + b"]", tensor)
        if rows is not None:
            return checked(signature, {tensor.name: rows})
    return tf_json.from_rows([orjson.loads(line) for line in lines], signature)


def _read_large(
    body: bytes,
    signatures: Mapping[str, Signature],
    name: str | None,
    ways: tuple[RequestReader, RequestReader],
) -> PredictRequest:
    """Read a body piece by piece: in the first way, or in the other if it is no JSON in that."""
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
    signature = choose(signatures, name)
    parts: dict[str, list[np.ndarray]] = {tensor.name: [] for tensor in signature.inputs}
    pieces = large.lines(body)
    for piece in pieces:
        if len(piece) == len(body):
            # There is but one line.
            return _document(body, signatures, name)
        try:
            found = _read_each([line for line in piece.splitlines() if line.strip()], signature)
        except ValueError as error:
            raise bad_request(f"JSON Parse error: in a line of the body: {shown(error)}") from None
        for key, array in found.arrays.items():
            parts[key].append(array)
    arrays = {t.name: large.joined(parts[t.name], t) for t in signature.inputs}
    return checked(signature, arrays)


def _read_line(
    line: bytes, signatures: Mapping[str, Signature], name: str | None
) -> PredictRequest:
    """Read the only line: an instance, unless it has a form of its own or is a batch to the letter.

    Flat values are no batch here: a client that sends one line counts on one prediction.
    """
    try:
        value = orjson.loads(line)
    except ValueError:
        return read(line, signatures, name)
    if not isinstance(value, list):
        return read(line, signatures, name)
    signature = choose(signatures, name)
    if len(signature.inputs) == 1:
        (tensor,) = signature.inputs
        made = values.typed(value, tensor)
        if tensor.shape is not None and tensor.fits(made.shape):
            return checked(signature, {tensor.name: made})
        value = [value]
    return tf_json.from_rows(value, signature)


def _several(body: bytes) -> list[Any] | None:
    """The JSON values that follow one another; None if that is not what there is."""
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
