"""TensorFlow Serving's JSON, to which SageMaker's container converts all other JSON.

    {"signature_name": …, "instances": [row, row]}      rows; several inputs: objects by name
    {"signature_name": …, "inputs": values}             columns; several inputs: an object by name
    {"b64": "…"}                                        bytes, wherever a string may stand

Sources: TensorFlow Serving's `util/json_tensor.cc`, the SageMaker container's
`tensorflowServing.js`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from trainer.serving.formats import json_arrays, large, numbers
from trainer.serving.formats.request import Form, PredictRequest, checked_request, choose_signature
from trainer.serving.http.errors import bad_request, shown_value
from trainer.serving.models.signature import Signature

_NOT_FINITE = re.compile(rb"[\s,:\[](?:NaN|-?Infinity)[\s,\]}]")


def read(
    body: bytes, signatures: Mapping[str, Signature], name: str | None = None
) -> PredictRequest:
    """Read TensorFlow Serving's JSON.

    Args:
        body: The request's.
        signatures: The model's.
        name: The signature that is called if the body names none.

    Raises:
        HTTPError: TensorFlow Serving would refuse the body.
    """
    parts = numbers.split(body) if len(body) <= large.LARGE else None
    if parts is not None:
        # The object without the array is small, and parsed at once.
        try:
            rest = orjson.loads(parts[0])
        except ValueError:
            rest = None
        if isinstance(rest, dict) and rest.get("instances") == 0 and "inputs" not in rest:
            signature = _signature(rest, signatures, name)
            if len(signature.inputs) == 1:
                (tensor,) = signature.inputs
                rows = numbers.read(parts[1], tensor)
                if rows is not None:
                    return checked_request(signature, {tensor.name: rows})
    return from_object(parse(body), signatures, name)


def parse(body: bytes) -> Any:
    """Parse JSON; of a large body the long arrays are `large.Array`.

    Raises:
        HTTPError: The body is no JSON; in TensorFlow Serving's words.
    """
    if large.is_blank(body):
        raise bad_request("JSON Parse error: The document is empty")
    if len(body) > large.LARGE:
        return large.parse(body)
    try:
        return orjson.loads(body)
    except ValueError as error:
        if _NOT_FINITE.search(body):
            raise bad_request(
                "JSON Parse error: NaN or Infinity among the values; expected finite numbers"
            ) from None
        message, at = getattr(error, "msg", "Invalid value"), getattr(error, "pos", 0)
        raise bad_request(f"JSON Parse error: {shown_value(message)}. at offset: {at}") from None


def from_object(
    document: Any, signatures: Mapping[str, Signature], name: str | None = None
) -> PredictRequest:
    """Read a parsed document of TensorFlow Serving's form.

    Raises:
        HTTPError: It does not have that form, or does not fit the signature.
    """
    if not isinstance(document, dict):
        raise bad_request(
            f"JSON Value: {json_arrays.brief(document)} Is not object; expected "
            '{"instances": […]} or {"inputs": …}'
        )
    if "instances" in document and "inputs" in document:
        raise bad_request(
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys"
        )
    signature = _signature(document, signatures, name)
    if "instances" in document:
        return from_rows(document["instances"], signature)
    if "inputs" in document:
        return _from_columns(document["inputs"], signature)
    raise bad_request("Missing 'inputs' or 'instances' key")


def from_rows(rows: Any, signature: Signature) -> PredictRequest:
    """Read the row form: a value, or an object of values, for each instance.

    Raises:
        HTTPError: A row differs from the others, or does not fit the signature.
    """
    if isinstance(rows, large.Array):
        return _from_long(rows, signature)
    if not isinstance(rows, list):
        raise bad_request(
            f"Expecting 'instances' to be a list/array, got {json_arrays.kind_of(rows)}"
        )
    if not rows:
        raise bad_request("No values in 'instances' array; expected one instance or more")
    return checked_request(signature, _columns(rows, signature), Form.ROWS)


def _from_long(rows: large.Array, signature: Signature) -> PredictRequest:
    """Read the row form of an array that is too long to be parsed at once."""
    if not rows.of_objects and len(signature.inputs) == 1:
        (tensor,) = signature.inputs
        return checked_request(signature, {tensor.name: json_arrays.array_of(rows, tensor)})
    parts: dict[str, list[np.ndarray]] = {tensor.name: [] for tensor in signature.inputs}
    count = 0
    for chunk in rows.chunks():
        for name, array in _columns(chunk, signature, first=count).items():
            parts[name].append(array)
        count += len(chunk)
    arrays = {t.name: large.join_rows(parts[t.name], t) for t in signature.inputs}
    return checked_request(signature, arrays)


def _columns(rows: list[Any], signature: Signature, *, first: int = 0) -> dict[str, np.ndarray]:
    """Return rows as an array for each input; `first` is the number of the first row."""
    tensors = {tensor.name: tensor for tensor in signature.inputs}
    named = _is_named(rows[0])
    if not named and len(tensors) > 1:
        raise bad_request(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            f"are required: {', '.join(tensors)}"
        )
    columns: dict[str, list[Any]] = {key: [] for key in tensors}
    for i, row in enumerate(rows, start=first):
        if named != _is_named(row):
            expected, got = ("object", "list") if named else ("value/list", "object")
            raise bad_request(f"Expecting {expected} but got {got} at item {i} of input list")
        if named and row.keys() != tensors.keys():
            raise bad_request(
                f"Failed to process element: {i} of 'instances' list. JSON object has the keys "
                f"{shown_value(', '.join(row))}; keys must be equal to: {','.join(tensors)}"
            )
        for key, column in columns.items():
            column.append(row[key] if named else row)
    return {key: json_arrays.array_of(columns[key], tensors[key]) for key in columns}


def _from_columns(given: Any, signature: Signature) -> PredictRequest:
    tensors = {tensor.name: tensor for tensor in signature.inputs}
    if not _is_named(given):
        if len(tensors) > 1:
            raise bad_request(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                f"are required: {', '.join(tensors)}"
            )
        given = dict.fromkeys(tensors, given)
    for key in tensors:
        if key not in given:
            raise bad_request(f"Missing named input: {key} in 'inputs' object.")
    unknown = given.keys() - tensors.keys()
    if unknown:
        raise bad_request(
            f"inputs has no tensor named {shown_value(min(unknown))}; expected {', '.join(tensors)}"
        )
    arrays = {
        key: json_arrays.array_of(given[key], tensor, single=True)
        for key, tensor in tensors.items()
    }
    return checked_request(signature, arrays, Form.COLUMNS)


def _signature(
    document: dict[str, Any], signatures: Mapping[str, Signature], name: str | None
) -> Signature:
    named = document.get("signature_name", name)
    if named is not None and not isinstance(named, str):
        raise bad_request(
            f"'signature_name' key must be a string value, got {json_arrays.kind_of(named)}"
        )
    return choose_signature(signatures, named)


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not (
        value.keys() == {"b64"} and isinstance(value["b64"], str)
    )
