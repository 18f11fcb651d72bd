"""Labels of any form as integers: columns, one-hot rows, whole floats, booleans, names."""

from __future__ import annotations

import numpy as np

from trainer.config import DataError
from trainer.data.formats.table import check_labels

FORMS = "expected integers [n] or [n, 1], one-hot rows [n, classes], or names [n]"


def labels_of(
    values: np.ndarray, *, where: str, first: int = 0
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels of any form as integers.

    Args:
        values: Integers, whole floats, booleans or names [n] or [n, 1], or one-hot rows
            [n, classes].
        where: The file, for errors, which name the record.
        first: The number of the first record.

    Returns:
        Labels, integers [n] as `check_labels` returns them, and the names of the classes, sorted,
        if the labels are names; else none.

    Raises:
        DataError: A label is of no such form, or out of range.
    """
    check_form(values.shape, values.dtype, where=where)
    flat = values.reshape(-1) if values.shape[1:] == (1,) else values
    numbers = np.arange(first, first + len(flat))
    names: tuple[str, ...] = ()
    if flat.dtype.kind in "US":
        flat, names = _of_names(flat, where=where)
    elif flat.ndim == 2:
        flat = _of_one_hot(flat, where=where, first=first)
    else:
        flat = _of_numbers(flat, where=where, first=first)
    return check_labels(flat, where=where, numbers=numbers), names


def check_form(shape: tuple[int, ...], dtype: np.dtype, *, where: str) -> None:
    """Raise a DataError unless labels of a shape and a type are of a form that is read."""
    is_column = len(shape) == 1 or shape[1:] == (1,)
    is_rows = len(shape) == 2 and shape[1] > 0 and dtype.kind in "iufb"
    if not (is_column or is_rows) or dtype.kind not in "iufbUS" or not dtype.itemsize:
        raise DataError(subject=where, problem=f"labels are {dtype} {list(shape)}, {FORMS}")


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
    labels = labels.reshape(-1)
    # More digits are names again, and no class.
    if all(name.isascii() and name.isdigit() and len(name) < 10 for name in names):
        return np.array([int(name) for name in names], np.int64)[labels], ()
    return labels, tuple(names)
