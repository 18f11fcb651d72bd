"""CSV: an instance a line, without a heading."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Mapping

import numpy as np

from trainer.serving.formats import large
from trainer.serving.formats.outputs import Arrays, ResponseFormat, tables
from trainer.serving.formats.request import Form, PredictRequest, checked_request, choose_signature
from trainer.serving.http.errors import bad_request, shown_value
from trainer.serving.models.signature import Signature, Tensor

# Rows of strings that are read at a time.
AT_ONCE = 4096
# Rows of outputs that are written at a time, as a call into C stops all other threads.
WRITTEN_AT_ONCE = 512
# The place that NumPy names in its messages; it counts lines from 0 in some of them.
_AT = re.compile(r"at row (\d+)(, column \d+)?")


def read(
    body: bytes, signatures: Mapping[str, Signature], name: str | None = None
) -> PredictRequest:
    """Read a body of the type text/csv.

    A line has one column for each value of an instance, in row-major order where an instance has
    several dimensions. Lines of a single column are instances that are single values.

    Raises:
        HTTPError: The values do not fit the signature.
    """
    signature = choose_signature(signatures, name)
    tensor = signature.only_input("CSV")
    if large.is_blank(body.removeprefix(codecs.BOM_UTF8)):
        raise bad_request("CSV: the body is empty; expected one instance a line")
    table = _strings(body) if tensor.is_text else _numbers(body, tensor)
    return checked_request(signature, {tensor.name: _shaped(table, tensor)})


def _text(body: bytes, at: int) -> str:
    try:
        return body.decode("utf-8-sig" if not at else "utf-8")
    except UnicodeDecodeError as error:
        raise bad_request(f"CSV: not UTF-8 at byte {at + error.start}") from None


def _numbers(body: bytes, tensor: Tensor) -> np.ndarray:
    if len(body) <= large.LARGE:
        return _table(_text(body, 0), tensor, first=0)
    # NumPy holds the GIL, and so stops all other threads, until it has read what it was given.
    parts: list[np.ndarray] = []
    at = line = 0
    for piece in large.lines(body):
        at = body.index(piece, at)
        parts.append(_table(_text(piece, at), tensor, first=line))
        if parts[-1].shape[1] != parts[0].shape[1]:
            raise bad_request(
                f"CSV: after line {line} the number of columns changes from {parts[0].shape[1]} to "
                f"{parts[-1].shape[1]}"
            )
        line += piece.count(b"\n")
        at += len(piece)
    return large.join_rows(parts, tensor)


def _table(text: str, tensor: Tensor, *, first: int) -> np.ndarray:
    """Return lines of numbers as a table; `first` is the number of lines before them."""
    # Read as the widest type of its kind, so that a number out of range does not wrap around.
    kind = {"f": np.float64, "b": np.int64}.get(tensor.dtype.kind, tensor.dtype)
    try:
        table = np.loadtxt(
            io.StringIO(text), kind, delimiter=",", ndmin=2, comments=None, quotechar='"'
        )
    except (ValueError, OverflowError) as error:
        # NumPy adds advice for its callers, which clients cannot use.
        reason = str(error).partition("; use `usecols`")[0]
        reason = _AT.sub(lambda match: _place(match, first), reason)
        raise bad_request(
            f"CSV: {shown_value(reason, 200)}; expected {tensor.type_name} in all "
            "columns, and as many in each line"
        ) from None
    with np.errstate(over="ignore"):
        return table.astype(tensor.dtype)


def _strings(body: bytes) -> np.ndarray:
    parts: list[np.ndarray] = []
    count = width = 0
    # A quoted field may hold line ends, so that only the csv reader knows where a row ends.
    text = io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", newline="")
    rows = (row for row in csv.reader(text) if row)
    try:
        while some := list(itertools.islice(rows, AT_ONCE)):
            width = width or len(some[0])
            for number, row in enumerate(some, start=count + 1):
                if len(row) != width:
                    raise bad_request(
                        f"CSV: line {number} has {len(row)} columns, line 1 has {width}"
                    )
            count += len(some)
            parts.append(np.empty((len(some), width), object))
            parts[-1][:] = [[value.encode() for value in row] for row in some]
    except csv.Error as error:
        raise bad_request(f"CSV: {shown_value(error)}") from None
    except UnicodeDecodeError:
        # Decode the whole body to find the place; the csv reader decodes it in parts.
        _text(body, 0)
        raise
    if not parts:
        raise bad_request("CSV: the body has no lines; expected one instance a line")
    return np.concatenate(parts)


def _shaped(table: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Return a table with its columns as the dimensions of an instance."""
    size, row = tensor.row_size, tensor.row
    if size is None or row is None:
        # SageMaker's container does the same: one column is a value, several are a list.
        single = table.shape[1] == 1 and (row is None or row == ())
        return table[:, 0] if single else tensor.fitted(table)
    if table.shape[1] != size:
        raise bad_request(f"CSV: lines have {table.shape[1]} columns; expected {size}: {tensor}")
    return table.reshape(len(table), *(n or 0 for n in row))


def _place(match: re.Match[str], first: int) -> str:
    if match[2]:
        return f"in line {first + int(match[1]) + 1}{match[2]}"
    # NumPy counts from 1 when it reports another number of columns.
    return f"in line {first + int(match[1])}"


def _write(outputs: Arrays, form: Form) -> bytes:
    """Write an instance a line, the outputs side by side in the order of their names."""
    columns_of_outputs = tables(outputs)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for start in range(0, len(columns_of_outputs[0]), WRITTEN_AT_ONCE):
        columns = [_cells(table[start : start + WRITTEN_AT_ONCE]) for table in columns_of_outputs]
        writer.writerows(itertools.chain(*parts) for parts in zip(*columns, strict=True))
    return text.getvalue().encode()


def _cells(table: np.ndarray) -> list[list[str]]:
    if table.dtype == object:
        return [[value.decode(errors="replace") for value in row] for row in table.tolist()]
    # NumPy writes each number with as few digits as its type needs.
    cells: list[list[str]] = table.astype(str).tolist()
    return cells


RESPONSE = ResponseFormat(write=_write)
