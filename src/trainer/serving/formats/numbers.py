"""Nested lists of numbers, read several times faster than by a JSON parser alone.

A parser makes a Python list for each pair of brackets: 813 lists for an image of 28×28×1, which
costs more than the numbers. But where the model declares the shape of a row, the brackets and
commas of a valid request are known in advance. This module compares them with the expected ones
and has the numbers parsed as one flat list. It leaves everything unusual to `tf_json`, which also
words the errors.
"""

from __future__ import annotations

import functools
import re

import numpy as np
import orjson

from trainer.serving.models import shapes
from trainer.serving.models.signature import Tensor

_NUMBER = b"0123456789+-.eE"
# Longer texts are read in pieces, see `large`.
MOST = 2**20
_SPACE = b" \t\r\n"
# One table turns every character of a number into 0, the other brackets into spaces.
_ALIKE = bytes.maketrans(_NUMBER, b"0" * len(_NUMBER))
_FLAT = bytes.maketrans(b"[]", b"  ")
_spellings = functools.lru_cache(maxsize=64)(shapes.spellings)
_INSTANCES = re.compile(rb'"instances"\s*:\s*$')


def read(text: bytes, tensor: Tensor) -> np.ndarray | None:
    """Read rows of an input.

    Args:
        text: A JSON array of rows.
        tensor: The input; None is returned unless it is of floats, with rows of known shape.

    Returns:
        The rows, of the tensor's type and shape; None if `tf_json` has to read them.
    """
    row = tensor.row
    if tensor.dtype.kind != "f" or row is None or None in row or 0 in row or len(text) > MOST:
        return None
    sizes = tuple(size for size in row if size is not None)
    skeleton = text.translate(_ALIKE, _SPACE)
    if _outside(skeleton):
        return None
    brackets = skeleton.translate(None, b"0")
    for one in map(_row, _spellings(sizes)):
        count = (len(brackets) - 1) // (len(one) + 1)
        if count >= 1 and brackets == _rows(one, count):
            break
    else:
        return None
    try:
        numbers = orjson.loads(b"[" + text.translate(_FLAT) + b"]")
        # Numbers too large for float32 become infinite here; `Tensor.check` refuses them later.
        with np.errstate(over="ignore"):
            return np.fromiter(numbers, tensor.dtype, len(numbers)).reshape(count, *sizes)
    except (ValueError, OverflowError):
        return None


def _outside(skeleton: bytes) -> bool:
    """Return whether a number stands before or after brackets, as in `1[2]`."""
    marks = np.frombuffer(skeleton, np.uint8)
    number = marks == ord("0")
    before = number[:-1] & (marks[1:] == ord("["))
    after = number[1:] & (marks[:-1] == ord("]"))
    return bool(before.any() or after.any())


@functools.lru_cache(maxsize=64)
def _row(shape: tuple[int, ...]) -> bytes:
    """Return the brackets and commas of one row."""
    text = b""
    for size in reversed(shape):
        text = b"[" + b",".join([text] * size) + b"]"
    return text


@functools.lru_cache(maxsize=64)
def _few_rows(row: bytes, count: int) -> bytes:
    return b"[" + b",".join([row] * count) + b"]"


def _rows(row: bytes, count: int) -> bytes:
    # Only small requests are cached, as there may be many large ones of different sizes.
    make = _few_rows if count <= 16 else _few_rows.__wrapped__
    return make(row, count)


def split(body: bytes) -> tuple[bytes, bytes] | None:
    """Cut the instances out of a JSON object that has no other array.

    Returns:
        The object with a 0 in their place, and the array; None if the body is not such an object.
    """
    begin, end = body.find(b"["), body.rfind(b"]") + 1
    if begin < 0 or end <= begin:
        return None
    rest = body[:begin] + b"0" + body[end:]
    # The array must be the value of "instances", and that key must be there only once.
    if not _INSTANCES.search(body, 0, begin) or rest.count(b'"instances"') != 1:
        return None
    return rest, body[begin:end]
