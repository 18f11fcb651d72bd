"""Columns of CSV and Parquet files as arrays, for modules that take tables rather than images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import DataError
from trainer.data.formats.arrow import arrow_errors, import_arrow
from trainer.data.formats.columns import Column as ColumnOfFile, is_number, listed
from trainer.data.formats.csv_file import CsvFormat, csv_batches
from trainer.data.formats.csv_sample import read_sample
from trainer.data.formats.parquet_file import open_parquet

# Columns of one file, by name: [n] or [n, values], of float32, int64 or objects of bytes.
Frame = Mapping[str, np.ndarray]


def read_frame(path: Path, columns: Sequence[str] | None) -> dict[str, np.ndarray]:
    """Read columns of a CSV or Parquet file.

    Args:
        path: The file; CSV by the end of its name, else Parquet.
        columns: The names; None for all columns.

    Returns:
        Each column: floats as float32, integers and booleans as int64, texts as objects of bytes,
        lists of numbers as float32 or int64 [n, values].

    Raises:
        DataError: A column is not there, of another type, or has a value missing.
    """
    if path.name.lower().endswith(CsvFormat.suffixes):
        return _read_csv(path, columns)
    with arrow_errors(path, kind="Parquet"):
        opened = open_parquet(path)
        names = _wanted(columns, opened.file.schema_arrow.names, path)
        table = opened.table(names)
    return {name: _values(table.column(name), name, path, first=0, word="record") for name in names}


def _read_csv(path: Path, columns: Sequence[str] | None) -> dict[str, np.ndarray]:
    sample = read_sample(path)
    found = [column.name for column in sample.columns]
    names = _wanted(columns, found, path)
    places = [found.index(name) for name in names]
    with arrow_errors(path, kind="CSV"):
        batches = list(csv_batches(path, sample, places))
        table = import_arrow(path).Table.from_batches(batches)
    first = 1 + sample.has_header
    return {
        name: _values(column, name, path, first=first, word="row")
        for name, column in zip(names, table.columns, strict=True)
    }


def _wanted(columns: Sequence[str] | None, found: Sequence[str], path: Path) -> list[str]:
    """Return the names of the columns to read, which the file has."""
    names = list(found) if columns is None else list(dict.fromkeys(columns))
    for name in names:
        if found.count(name) != 1:
            there = listed([ColumnOfFile(each, None) for each in found])
            problem = "no column" if name not in found else f"{found.count(name)} columns"
            raise DataError(subject=path, problem=f"{problem} {name} among {there}")
    return names


def _values(column: Any, name: str, path: Path, *, first: int, word: str) -> np.ndarray:
    """Return a column, a pyarrow chunked array, as an array.

    Args:
        column: The column.
        name: Its name, for errors.
        path: The file, for errors.
        first: The number of its first value, for errors.
        word: What errors call a number.
    """
    import pyarrow as pa
    from pyarrow import types

    if column.null_count:
        row = first + int(np.argmax(column.is_null().to_numpy()))
        raise DataError(
            subject=path,
            problem=f"{word} {row}: column {name} is empty",
            remedy="fill the gaps, or leave the column out",
        )
    kind, rows = column.type, len(column)
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    shape: tuple[int, ...] = (rows,)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        column = column.combine_chunks().flatten()
        kind = column.type
        if column.null_count or (rows and len(column) % rows):
            raise DataError(
                subject=path, problem=f"column {name} has lists of several lengths, or with gaps"
            )
        shape = (rows, len(column) // max(1, rows))
    if types.is_boolean(kind):
        column, kind = column.cast(pa.int64()), pa.int64()
    if types.is_decimal(kind):
        column, kind = column.cast(pa.float64()), pa.float64()
    if is_number(kind):
        values = np.asarray(column)
        return values.astype(np.int64 if values.dtype.kind in "iu" else np.float32).reshape(shape)
    if types.is_string(kind) or types.is_large_string(kind):
        column = column.cast(pa.large_binary())
        kind = column.type
    if types.is_binary(kind) or types.is_large_binary(kind):
        return np.array([*column.to_pylist(), b""], object)[:-1].reshape(shape)
    raise DataError(
        subject=path,
        problem=f"column {name} is of {kind}, expected numbers, texts or lists of numbers",
        remedy="convert it, or leave it out",
    )
