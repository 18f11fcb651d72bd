"""CSV: an instance a line, without a heading."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping

import numpy as np

from trainer.serving.formats.ask import Ask, checked, choose
from trainer.serving.refusal import bad, shown
from trainer.serving.signature import Signature, Tensor

# NumPy counts lines from 0 in some of its messages and tells what it was given in most.
_AT = re.compile(r"at row (\d+), column (\d+)")


def read(body: bytes, signatures: Mapping[str, Signature], name: str | None = None) -> Ask:
    """Read a body of the type text/csv.

    A line has one column for each value of an instance, row after row where it has several
    dimensions. Lines of a single column are instances that are single values.

    Raises:
        Refusal: It is not as the signature has it.
    """
    signature = choose(signatures, name)
    tensor = signature.only_input("CSV")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad(f"CSV: not UTF-8 at byte {error.start}") from None
    if not text.strip():
        raise bad("CSV: the body is empty; expected one instance a line")
    table = _strings(text) if tensor.is_text else _numbers(text, tensor)
    return checked(signature, {tensor.name: _shaped(table, tensor)})


def _numbers(text: str, tensor: Tensor) -> np.ndarray:
    # Read as the widest of its kind: a number out of the type's range must not wrap around.
    kind = {"f": np.float64, "b": np.int64}.get(tensor.dtype.kind, tensor.dtype)
    try:
        table = np.loadtxt(
            io.StringIO(text), kind, delimiter=",", ndmin=2, comments=None, quotechar='"'
        )
    except (ValueError, OverflowError) as error:
        # What follows is advice for callers of NumPy.
        reason = str(error).partition("; use `usecols`")[0]
        raise bad(
            f"CSV: {shown(_AT.sub(_place, reason), 200)}; expected {tensor.type_name} in all "
            "columns, and as many in each line"
        ) from None
    with np.errstate(over="ignore"):
        return table.astype(tensor.dtype)


def _strings(text: str) -> np.ndarray:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        raise bad(f"CSV: {shown(error)}") from None
    width = len(rows[0])
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise bad(f"CSV: line {number} has {len(row)} columns, line 1 has {width}")
    table = np.empty((len(rows), width), object)
    table[:] = [[value.encode() for value in row] for row in rows]
    return table


def _shaped(table: np.ndarray, tensor: Tensor) -> np.ndarray:
    """The columns of a line as the dimensions of an instance."""
    size, row = tensor.row_size, tensor.row
    if size is None or row is None:
        # As SageMaker's container has it: one column is a value, several are a list.
        single = table.shape[1] == 1 and (row is None or row == ())
        return table[:, 0] if single else tensor.fitted(table)
    if table.shape[1] != size:
        raise bad(f"CSV: lines have {table.shape[1]} columns; expected {size}: {tensor}")
    return table.reshape(len(table), *(n or 0 for n in row))


def _place(match: re.Match[str]) -> str:
    return f"in line {int(match[1]) + 1}, column {match[2]}"
