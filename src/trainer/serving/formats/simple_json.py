"""JSON as people send it to SageMaker: TensorFlow Serving's form, or values without any form.

    [[6.4, 3.2, 4.5, 1.5]]       instances
    [6.4, 3.2, 4.5, 1.5]         one instance
    {"a": [1], "b": [2]}         one instance of a model with the inputs a and b
    [1, 2] [3, 4]                one instance after the other, on lines of their own or not

Which a list is, is told by how deep it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from trainer.serving.formats import numbers, tf_json, values
from trainer.serving.formats.ask import Ask, checked, choose
from trainer.serving.refusal import Refusal
from trainer.serving.signature import Signature

FORMS = {"instances", "inputs"}
_FULL = re.compile(r"\S")
_DECODER = json.JSONDecoder()


def read(body: bytes, signatures: Mapping[str, Signature], name: str | None = None) -> Ask:
    """Read a body of the type application/json.

    Raises:
        Refusal: It is no JSON, or not as the signature has it.
    """
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
        except Refusal as error:
            if not error.message.startswith("JSON Parse error"):
                raise
    try:
        document = tf_json.parse(body)
    except Refusal as error:
        values = _several(body)
        if values is None:
            raise error from None
        return tf_json.from_rows(values, choose(signatures, name))
    if isinstance(document, dict) and FORMS & document.keys():
        return tf_json.from_object(document, signatures, name)
    signature = choose(signatures, name)
    return tf_json.from_rows(_as_rows(document, signature), signature)


def read_lines(body: bytes, signatures: Mapping[str, Signature], name: str | None = None) -> Ask:
    """Read a body of the type application/jsonlines or application/jsons.

    Raises:
        Refusal: It is not as the signature has it.
    """
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) == 1:
        return read(lines[0], signatures, name)
    try:
        # One array of all: the values need not be looked at twice.
        joined = b"[" + b",".join(lines) + b"]"
        signature = choose(signatures, name)
        if len(signature.inputs) == 1:
            (tensor,) = signature.inputs
            rows = numbers.read(joined, tensor)
            if rows is not None:
                return checked(signature, {tensor.name: rows})
        values = [orjson.loads(line) for line in lines]
    except ValueError:
        # Values may go over several lines.
        return read(body, signatures, name)
    return tf_json.from_rows(values, choose(signatures, name))


def _as_rows(value: Any, signature: Signature) -> list[Any]:
    """What a value without any form is: instances, or one of them."""
    if not isinstance(value, list):
        return [value]
    if value and isinstance(value[0], dict):
        return value
    shape = signature.inputs[0].shape if len(signature.inputs) == 1 else None
    if shape is not None and values.depth(value) == len(shape) - 1:
        return [value]
    return value


def _several(body: bytes) -> list[Any] | None:
    """The JSON values that follow one another; None if that is not what there is."""
    try:
        values = list(_values(body.decode()))
    except (ValueError, RecursionError):
        return None
    return values if len(values) > 1 else None


def _values(text: str) -> Iterator[Any]:
    at = 0
    while found := _FULL.search(text, at):
        value, at = _DECODER.raw_decode(text, found.start())
        yield value
