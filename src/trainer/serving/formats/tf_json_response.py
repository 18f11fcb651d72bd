"""Responses in JSON: TensorFlow Serving's two forms, or a line for each instance."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from trainer.serving.formats.outputs import Arrays, ResponseFormat
from trainer.serving.formats.request import Form
from trainer.serving.http.errors import bad_request
from trainer.serving.models.signature import BYTES_SUFFIX

# Rows that are written in one call.
AT_ONCE = 512
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


def _write(outputs: Arrays, form: Form) -> bytes:
    """Write `{"predictions": rows}` or `{"outputs": columns}`, as the request was."""
    finite = all(map(_finite, outputs.values()))
    if form is Form.ROWS:
        return b'{"%s":[%s]}' % (form.value.encode(), _dump_all(_rows(outputs), finite))
    values = {name: _column(name, outputs[name]) for name in sorted(outputs)}
    document = values if len(values) > 1 else next(iter(values.values()))
    return _dump({form.value: document}, finite)


def _write_lines(outputs: Arrays, form: Form) -> bytes:
    """Write an instance a line."""
    finite = all(map(_finite, outputs.values()))
    return b"".join(_dump(row, finite) + b"\n" for row in _rows(outputs))


def _rows(outputs: Arrays) -> Iterator[Any]:
    names = sorted(outputs)
    sizes = {name: len(outputs[name]) if outputs[name].ndim else None for name in names}
    for name, size in sizes.items():
        if size is None:
            raise bad_request(
                f"Tensor name: {name} has no shape information; ask with 'inputs' instead"
            )
        if size != sizes[names[0]]:
            raise bad_request(
                f"Tensor name: {name} has inconsistent batch size: {size} expecting: "
                f"{sizes[names[0]]}"
            )
    columns = {name: _column(name, outputs[name]) for name in names}
    if len(names) == 1:
        yield from columns[names[0]]
        return
    for i in range(sizes[names[0]] or 0):
        yield {name: column[i] for name, column in columns.items()}


def _column(name: str, array: np.ndarray) -> Any:
    """Return an output as orjson can write it: numbers as an array, strings as lists."""
    if array.dtype != object and not array.ndim:
        return array[()]
    if array.dtype != object:
        return array if array.flags.c_contiguous else np.ascontiguousarray(array)
    return _texts(array.tolist(), as_bytes=name.endswith(BYTES_SUFFIX))


def _texts(value: Any, *, as_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_texts(item, as_bytes=as_bytes) for item in value]
    if not as_bytes:
        try:
            return value.decode()
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(value).decode()}


def _dump_all(rows: Iterator[Any], finite: bool) -> bytes:
    """Return the elements of a JSON array, written some at a time.

    A call into C stops all other threads, so a call is kept short.
    """
    parts = []
    while some := list(itertools.islice(rows, AT_ONCE)):
        parts.append(_dump(some, finite)[1:-1])
    return b",".join(parts)


def _dump(document: Any, finite: bool) -> bytes:
    if finite:
        return orjson.dumps(document, option=_OPTIONS)
    # TensorFlow Serving writes NaN and Infinity too, though JSON has no such numbers.
    return json.dumps(document, default=_listed).encode()


def _finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _listed(value: Any) -> Any:
    return value.tolist()


RESPONSE = ResponseFormat(write=_write, forms=(Form.ROWS, Form.COLUMNS))
LINES = ResponseFormat(write=_write_lines, aliases=("application/jsons", "application/x-ndjson"))
