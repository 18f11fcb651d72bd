"""Labels of any form as integers: columns, one-hot rows, whole floats, booleans, names."""

from __future__ import annotations

import numpy as np

from trainer.config import DataError
from trainer.data.formats.table import check_labels

# Rows looked at together, so that labels mapped from a file need no memory of their size.
ROWS = 65_536
FORMS = "expected integers [n] or [n, 1], one-hot rows [n, classes], or names [n]"


def labels_of(values: np.ndarray, *, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels of any form as integers.

    Args:
        values: Integers, whole floats, booleans or names [n] or [n, 1], or one-hot rows
            [n, classes]; may be mapped from a file.
        where: The file, for errors, which name the record.

    Returns:
        Labels, integers [n] as `check_labels` returns them, and the names of the classes, sorted,
        if the labels are names; else none.

    Raises:
        DataError: A label is of no such form, or out of range.
    """
    flat = values.reshape(-1) if values.shape[1:] == (1,) else values
    if flat.ndim not in (1, 2) or flat.dtype.kind not in "iufbUS" or 0 in flat.shape[1:]:
        raise _unexpected(values, where)
    if flat.dtype.kind in "US":
        if flat.ndim != 1:
            raise _unexpected(values, where)
        return _of_names(flat, where=where)
    convert = _of_numbers if flat.ndim == 1 else _of_one_hot
    parts = [
        check_labels(labels, where=where, numbers=np.arange(start, start + labels.size))
        for start in range(0, len(flat), ROWS)
        for labels in [convert(flat[start : start + ROWS], where=where, first=start)]
    ]
    return (np.concatenate(parts) if parts else np.empty(0, np.int32)), ()


def _of_numbers(values: np.ndarray, *, where: str, first: int) -> np.ndarray:
    """Return numbers [n] as integers."""
    if values.dtype.kind != "f":
        return values.astype(np.uint8) if values.dtype.kind == "b" else values
    values = values.astype(np.float64)
    # Beyond 2⁵³ all floats are whole; neither NaN nor an infinity is below it.
    wrong = ~((np.abs(values) < 2**53) & (values == np.rint(values)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            subject=where,
            problem=f"record {first + row}: label {values[row]:g} is not a whole number",
            remedy="give integers from 0 on",
        )
    return values.astype(np.int64)


def _of_one_hot(rows: np.ndarray, *, where: str, first: int) -> np.ndarray:
    """Return where each row [n, classes] has its 1."""
    ones = rows == 1
    wrong = ((rows != 0) & ~ones).any(axis=1) | (ones.sum(axis=1) != 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        values = ", ".join(f"{value:g}" for value in rows[row, :6].astype(np.float64))
        more = ", …" if rows.shape[1] > 6 else ""
        raise DataError(
            subject=where,
            problem=f"record {first + row}: the row of labels is [{values}{more}], expected a "
            "single 1 among zeros",
            remedy="give one class an example",
        )
    return np.argmax(ones, axis=1)


def _of_names(values: np.ndarray, *, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the place of each name [n] among all of them, sorted; of numbers as text, these."""
    found, labels = np.unique(values, return_inverse=True)
    try:
        names = [
            n.decode() if isinstance(n, bytes) else n.encode().decode() for n in found.tolist()
        ]
    except (UnicodeError, SystemError):
        raise DataError(
            subject=where,
            problem="a label is text that is not Unicode",
            remedy="save names as UTF-8",
        ) from None
    numbers = np.arange(values.size)
    # More digits are names again, and no class.
    if all(name.isascii() and name.isdigit() and len(name) < 10 for name in names):
        numeric = np.array([int(name) for name in names], np.int64)
        return check_labels(numeric[labels.reshape(-1)], where=where, numbers=numbers), ()
    return check_labels(labels.reshape(-1), where=where, numbers=numbers), tuple(names)


def _unexpected(values: np.ndarray, where: str) -> DataError:
    return DataError(
        subject=where, problem=f"labels are {values.dtype} {list(values.shape)}, {FORMS}"
    )
