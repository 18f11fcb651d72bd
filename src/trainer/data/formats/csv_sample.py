"""The beginning of a CSV file: separator, header, types of the columns, and where the label is."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import DataError
from trainer.data.formats.arrow import arrow_errors, import_arrow
from trainer.data.formats.columns import Column, is_number
from trainer.data.formats.compressed import GZIP_MAGIC
from trainer.data.formats.csv_errors import row_errors

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# Bytes of text by which a file is judged; those of long rows, so that there are several.
SAMPLE_BYTES = 1 << 20
LONGEST_SAMPLE = 32 << 20
# Rows that a sample has at least, where the file has as many.
FEWEST_ROWS = 8
SEPARATORS = ",\t;|"


@dataclass(frozen=True)
class CsvSample:
    """The beginning of a CSV file.

    Attributes:
        separator: The character between values.
        has_header: True if the first row has the names of the columns.
        columns: The columns, with the types that pyarrow gives them by the first rows.
        label: The column of labels where no header names it; None where one does.
        rows: The first rows: a pyarrow table with as many columns.
        longest: Bytes of the longest row.
        bytes_per_row: Bytes that a row takes in the file, packed as it is.
        has_quotes: True if values stand in quotes, which may hold line breaks.
    """

    separator: str
    has_header: bool
    columns: tuple[Column, ...]
    label: Column | None
    rows: Any
    longest: int
    bytes_per_row: float
    has_quotes: bool


def open_text(path: Path) -> Any:
    """Open a file for pyarrow, unpacked if it is packed by gzip or zstd.

    Raises:
        OSError: It is not there or cannot be read.
    """
    return import_arrow(path).input_stream(str(path), compression=_packing(path))


def _packing(path: Path) -> str | None:
    """Return what a file is packed by, as pyarrow calls it."""
    with path.open("rb") as file:
        head = file.read(4)
    return "gzip" if head.startswith(GZIP_MAGIC) else "zstd" if head == ZSTD_MAGIC else None


def read_sample(path: Path) -> CsvSample:
    """Judge a file by its beginning.

    Raises:
        DataError: It is no text, or has no rows besides a header.
    """
    with arrow_errors(path, kind="CSV"):
        text, is_whole = _beginning(path)
    try:
        first = text[:SAMPLE_BYTES].decode("utf-8-sig", errors="strict" if is_whole else "ignore")
    except UnicodeDecodeError:
        first = text[:SAMPLE_BYTES].decode("latin-1")
    if "\0" in first:
        raise DataError(
            subject=path, problem="is no CSV file: it has zero bytes", remedy="save it as UTF-8"
        )
    lines = [line for line in first.splitlines() if line.strip()]
    if not lines:
        raise DataError(subject=path, problem="is empty, expected rows of labels and images")
    separator = "\t" if ".tsv" in path.name.lower() else _separator(lines[0])
    names = next(csv.reader(lines, delimiter=separator))
    has_header = not all(map(_is_numeric, names))
    if has_header and len(lines) < 2:
        raise DataError(
            subject=path,
            problem=f"has a header ({', '.join(names)[:80]}) and no rows below it",
        )
    names = [name.strip() for name in names] if has_header else list(map(str, range(len(names))))
    rows = _parse(path, text, separator, names, has_header=has_header)
    columns = tuple(map(Column, names, rows.schema.types))
    label = None if has_header else columns[_label_at(rows)]
    packed = zlib.compress(text) if _packing(path) else text
    return CsvSample(
        separator,
        has_header,
        columns,
        label,
        rows,
        longest=max(map(len, text.splitlines())),
        bytes_per_row=len(packed) / max(1, len(rows)),
        has_quotes=b'"' in text,
    )


def _beginning(path: Path) -> tuple[bytes, bool]:
    """Return the first whole rows of a file, and whether they are all that there are."""
    with open_text(path) as file:
        text = file.read(SAMPLE_BYTES)
        while text.count(b"\n") < FEWEST_ROWS and len(text) < LONGEST_SAMPLE:
            more = file.read(len(text))
            if not more:
                return text, True
            text += more
        if not file.read(1):
            return text, True
    return text[: text.rfind(b"\n") + 1] or text, False


def _separator(line: str) -> str:
    """Return the character that separates the most values of a line."""
    return max(SEPARATORS, key=line.count)


def _is_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse(
    path: Path, text: bytes, separator: str, names: Sequence[str], *, has_header: bool
) -> Any:
    """Return rows as a pyarrow table, its columns named by their numbers.

    Raises:
        DataError: A row has more or fewer values than the first.
    """
    reader = import_arrow(path, "pyarrow.csv")
    with arrow_errors(path, kind="CSV"), row_errors(path, names):
        return reader.read_csv(
            io.BytesIO(text),
            read_options=reader.ReadOptions(
                use_threads=False,
                column_names=[str(number) for number in range(len(names))],
                skip_rows=int(has_header),
                block_size=max(len(text), 1),
            ),
            parse_options=reader.ParseOptions(delimiter=separator, newlines_in_values=b'"' in text),
        )


def _label_at(rows: Any) -> int:
    """Return the column of the labels where no header names it: the first, else the last.

    In a file of images, a corner's pixels are often all of one value; labels are not.
    """
    last = rows.num_columns - 1
    return last if not _may_be_labels(rows.column(0)) and _may_be_labels(rows.column(last)) else 0


def _may_be_labels(column: Any) -> bool:
    if not is_number(column.type):
        return len(set(column.to_pylist())) > 1
    values = np.asarray(column)
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    is_whole = values.dtype.kind != "f" or bool((values == np.rint(values)).all())
    return is_whole and len(np.unique(values)) > 1


def odd_value(sample: CsvSample) -> tuple[int, str, str] | None:
    """Return row, column and text of a value that is no number among numbers, or None.

    Only columns that begin with a number are looked at, in tables of mostly numbers.
    """
    numbers = sum(is_number(column.type) for column in sample.columns)
    if 2 * numbers < len(sample.columns):
        return None
    for column, values in zip(sample.columns, sample.rows.columns, strict=True):
        texts = [] if is_number(column.type) else [str(value) for value in values.to_pylist()]
        if texts and _is_numeric(texts[0]):
            for row, text in enumerate(texts, 1 + sample.has_header):
                if not _is_numeric(text):
                    return row, column.name, text
    return None
