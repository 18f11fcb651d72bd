"""Answers: as TensorFlow Serving's JSON, a line each, CSV or npy, whatever the client accepts.

Lines, CSV and npy are tables: one row for each instance, the outputs side by side in the order of
their names.
"""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from trainer.serving.formats import CSV, JSON, LINES, NPY, npy
from trainer.serving.formats.request import Form
from trainer.serving.http.errors import HTTPError, bad_request, shown
from trainer.serving.models.signature import BYTES_SUFFIX

Arrays = Mapping[str, np.ndarray]

# Which of ours a media type or range means.
OFFERED = {
    "": JSON, "*/*": JSON, "application/*": JSON, JSON: JSON, LINES: LINES,
    "application/jsons": LINES, "application/x-ndjson": LINES, CSV: CSV, "text/*": CSV, NPY: NPY,
}  # fmt: skip
# Rows that are written in one call.
AT_ONCE = 512
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


def accepted(header: str | None) -> str:
    """The type that suits a client best.

    Args:
        header: Accept.

    Raises:
        HTTPError: None does.
    """
    if header is None or header in ("*/*", JSON):
        return JSON
    best, choice = 0.0, None
    for part in header.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = _weight(parameters)
        if weight > best and kind in OFFERED:
            best, choice = weight, OFFERED[kind]
    if choice is None:
        raise HTTPError(
            406, f"Accept: {shown(header)}: expected one of {JSON}, {LINES}, {CSV}, {NPY}"
        )
    return choice


def write(outputs: Arrays, *, kind: str, form: Form) -> bytes:
    """Write an answer.

    Args:
        outputs: By name.
        kind: JSON, LINES, CSV or NPY.
        form: Of JSON.

    Raises:
        HTTPError: The outputs cannot be written so.
    """
    for name, array in outputs.items():
        if array.dtype.kind == "c":
            raise bad_request(
                f"Failed to write JSON value for tensor type: {array.dtype} of '{name}'"
            )
    if kind == NPY and len(outputs) == 1:
        return npy.write(next(iter(outputs.values())))
    if kind != JSON and not any(array.ndim for array in outputs.values()):
        # Numbers for the whole request are a table of one row.
        outputs = {name: array[np.newaxis] for name, array in outputs.items()}
    if kind == NPY:
        return npy.write(np.concatenate(_tables(outputs), axis=1))
    if kind == CSV:
        return _csv(outputs)
    finite = all(map(_finite, outputs.values()))
    if kind == LINES:
        return b"".join(_dump(row, finite) + b"\n" for row in _rows(outputs))
    if form is Form.ROWS:
        return b'{"%s":[%s]}' % (form.value.encode(), _dump_all(_rows(outputs), finite))
    values = {name: _column(name, outputs[name]) for name in sorted(outputs)}
    document = values if len(values) > 1 else next(iter(values.values()))
    return _dump({form.value: document}, finite)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


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
    """An output as JSON can hold it: an array of numbers as it is, strings as lists."""
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
    """The elements of an array, some at a time: while C code writes, other threads wait."""
    parts = []
    while some := list(itertools.islice(rows, AT_ONCE)):
        parts.append(_dump(some, finite)[1:-1])
    return b",".join(parts)


def _dump(document: Any, finite: bool) -> bytes:
    if finite:
        return orjson.dumps(document, option=_OPTIONS)
    # As TensorFlow Serving writes NaN and Infinity, though JSON has no such numbers.
    return json.dumps(document, default=_listed).encode()


def _finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _listed(value: Any) -> Any:
    return value.tolist()


def _tables(outputs: Arrays) -> list[np.ndarray]:
    """Each output as a table with the same rows."""
    tables: list[np.ndarray] = []
    for name in sorted(outputs):
        array = outputs[name]
        if array.ndim == 0:
            raise HTTPError(406, f"output '{name}' is a single value, no table; Accept {JSON}")
        tables.append(array.reshape(len(array), math.prod(array.shape[1:])))
        if len(tables[-1]) != len(tables[0]):
            raise HTTPError(406, f"output '{name}' has other rows than the rest; Accept {JSON}")
    return tables


def _csv(outputs: Arrays) -> bytes:
    tables = _tables(outputs)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for start in range(0, len(tables[0]), AT_ONCE):
        columns = [_cells(table[start : start + AT_ONCE]) for table in tables]
        writer.writerows(itertools.chain(*parts) for parts in zip(*columns, strict=True))
    return text.getvalue().encode()


def _cells(table: np.ndarray) -> list[list[str]]:
    if table.dtype == object:
        return [[value.decode(errors="replace") for value in row] for row in table.tolist()]
    # Each as short as its own type allows.
    cells: list[list[str]] = table.astype(str).tolist()
    return cells
