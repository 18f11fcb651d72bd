"""Errors about rows of CSV files: what pyarrow says of them, in one line with the row."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainer.config import DataError

# Text of pyarrow about one value of a file, and about a row with more or fewer of them.
_VALUE = re.compile(r"In CSV column #(\d+): Row #(\d+): CSV conversion error to ([^:]+): (.*)")
_WIDTH = re.compile(r"CSV parse error: Row #(\d+): Expected (\d+) columns, got (\d+)")
_QUOTED = re.compile(r"invalid value '(.*)'")
_EXPECTED = {
    "uint8": "a whole number from 0 to 255, as in the first rows",
    "int32": "a whole number, as in the first rows",
    "int64": "a whole number, as in the first rows",
    "float": "a number",
    "double": "a number",
}


@contextlib.contextmanager
def row_errors(path: Path, names: Sequence[str]) -> Iterator[None]:
    """Turn what pyarrow raises about one row into an error that names it.

    Args:
        path: The file.
        names: The names of all columns.
    """
    try:
        yield
    except ValueError as error:
        raise _row_error(path, error, names) or error from None


@contextlib.contextmanager
def rows_named(first: int) -> Iterator[None]:
    """Name records in errors by their rows, as an editor shows them.

    Args:
        first: The row of record 0.
    """

    def row(found: re.Match[str]) -> str:
        return f"row {int(found[1]) + first}"

    try:
        yield
    except DataError as error:
        subject, problem = (
            re.sub(r"\brecord (\d+)", row, text, count=1) for text in (error.subject, error.problem)
        )
        raise DataError(subject=subject, problem=problem, remedy=error.remedy) from None


def _row_error(path: Path, error: Exception, names: Sequence[str]) -> DataError | None:
    """Return the error of a row, or None if `error` is about something else.

    Args:
        path: The file.
        error: What pyarrow raised.
        names: The names of all columns.
    """
    text = " ".join(str(error).split())
    if found := _WIDTH.search(text):
        row, expected, got = found.groups()
        return DataError(
            subject=path,
            problem=f"row {row}: {got} value{'s'[: got != '1']}, expected {expected} as in the "
            "first row",
        )
    if found := _VALUE.search(text):
        column, row, kind, detail = found.groups()
        value = _QUOTED.search(detail)
        shown = f"'{value[1][:40]}'" if value else detail[:80]
        return DataError(
            subject=path,
            problem=f"row {row}, column {names[int(column)]}: {shown}, expected "
            f"{_EXPECTED.get(kind, kind)}",
        )
    if "straddl" in text:
        problem = "a row is far longer than the first ones, perhaps as a quote is never closed"
        return DataError(subject=path, problem=problem)
    return None
