"""Conversion of JSON values to arrays of a tensor's type, which checks each value."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import numpy as np

from trainer.serving.formats import large, numbers
from trainer.serving.formats.large import DEEPEST, Array
from trainer.serving.http.errors import HTTPError, bad_request, shown_value
from trainer.serving.models.signature import Tensor

# Characters of base64 that are decoded in one call; a multiple of four, which make three bytes.
CHARACTERS = 2**18
_ALPHABET = bytes.maketrans(b"-_", b"+/")
_WANTED = {"f": (int, float), "i": (int,), "u": (int,), "b": (bool,), "O": (str, dict)}
_KINDS = {
    type(None): "Null", bool: "Bool", dict: "Object", list: "Array", str: "String", int: "Number",
    float: "Number",
}  # fmt: skip


def array_of(value: Any, tensor: Tensor, *, single: bool = False) -> np.ndarray:
    """Return a JSON value as an array of the tensor's type and rank; sizes are checked later.

    Args:
        value: Nested lists, or a single value.
        tensor: The input.
        single: Whether the value may be one row without the dimension of rows.
    """
    made = _rows(value, tensor) if isinstance(value, Array) else typed_array(value, tensor)
    made = tensor.fitted(made, single=single)
    if tensor.shape is not None and made.ndim != len(tensor.shape):
        raise bad_request(
            f"input '{tensor.name}' has {made.ndim} levels of lists; expected "
            f"{len(tensor.shape)}: {tensor}"
        )
    return made


def typed_array(value: Any, tensor: Tensor) -> np.ndarray:
    """Return a JSON value as an array of the tensor's type, of any shape."""
    if isinstance(value, Array):
        return large.join_rows([typed_array(each, tensor) for each in value.chunks()], tensor)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Array):
        return typed_array(value[0], tensor)[np.newaxis]
    shape: list[int] = []
    level = value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    if len(shape) > DEEPEST:
        raise bad_request(
            f"input '{tensor.name}' has {len(shape)} levels of lists; expected {tensor}"
        )
    leaves: list[Any] = []
    _walk(value, shape, 0, leaves)
    return _typed(leaves, tensor).reshape(shape)


def _rows(array: Array, tensor: Tensor) -> np.ndarray:
    """Return a long JSON array as one of the tensor's type, its rows in the tensor's shape."""
    if tensor.shape is None or tensor.shape[:1] != (None,):
        return typed_array(array, tensor)
    parts = []
    for group, at in array.groups():
        part = numbers.read(group, tensor)
        if part is None:
            part = tensor.fitted(typed_array(array.load(group, at), tensor))
        parts.append(part)
    return large.join_rows(parts, tensor)


def _walk(value: Any, shape: list[int], level: int, leaves: list[Any]) -> None:
    """Gather the values of nested lists; all lists of a level must have the same length."""
    if level == len(shape):
        if isinstance(value, list):
            raise bad_request(
                f"Encountered list at unexpected level: {level} expected < {len(shape)}"
            )
        leaves.append(value)
        return
    if not isinstance(value, list):
        raise bad_request(
            f"JSON Value: {brief(value)} found at incorrect level: {level + 1} in the "
            f"JSON DOM. Expected at level: {len(shape)}"
        )
    if len(value) != shape[level]:
        raise bad_request(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for item in value:
        _walk(item, shape, level + 1, leaves)


def _typed(leaves: list[Any], tensor: Tensor) -> np.ndarray:
    wanted = _WANTED[tensor.dtype.kind]
    for kind in set(map(type, leaves)):
        if kind not in wanted:
            raise _wrong_type(next(v for v in leaves if type(v) is kind), tensor)
    if tensor.is_text:
        array = np.empty(len(leaves), object)
        array[:] = [_text(leaf) for leaf in leaves]
        return array
    try:
        with np.errstate(over="ignore"):
            return np.array(leaves, tensor.dtype)
    except OverflowError:
        limits = np.iinfo(tensor.dtype) if tensor.dtype.kind in "iu" else None
        worst = next((v for v in leaves if limits and not limits.min <= v <= limits.max), leaves[0])
        raise _wrong_type(worst, tensor) from None


def _text(leaf: str | dict[str, Any]) -> bytes:
    if isinstance(leaf, str):
        return leaf.encode("utf-8", "surrogatepass")
    if leaf.keys() != {"b64"} or not isinstance(leaf["b64"], str):
        raise bad_request(
            f"JSON Value: {brief(leaf)} not formatted correctly for base64 data; "
            'expected {"b64": "…"}'
        )
    # TensorFlow Serving takes base64 with and without the padding at the end.
    text = leaf["b64"].rstrip("=")
    try:
        # Decode in pieces, as each call stops all other threads.
        pieces = range(0, len(text), CHARACTERS)
        return b"".join(_decoded(text[start : start + CHARACTERS]) for start in pieces)
    except (binascii.Error, ValueError):
        raise bad_request("Unable to base64 decode a 'b64' value") from None


def _decoded(text: str) -> bytes:
    if "=" in text:
        raise ValueError
    # Both alphabets, the usual and the one for urls.
    plain = text.encode("ascii", "replace").translate(_ALPHABET)
    return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)


def brief(value: Any) -> str:
    """Return a value as an error shows it; of a list or object only its length."""
    if isinstance(value, (list, dict)):
        return f"{kind_of(value)} of {len(value)}"
    return shown_value(json.dumps(value))


def kind_of(value: Any) -> str:
    """Return TensorFlow Serving's name of a JSON value's type."""
    return _KINDS.get(type(value), "value")


def _wrong_type(value: Any, tensor: Tensor) -> HTTPError:
    return bad_request(
        f"JSON Value: {brief(value)} Type: {kind_of(value)} is not of expected type: "
        f"{tensor.type_name}"
    )
