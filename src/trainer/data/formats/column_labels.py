"""Labels from columns of numbers, texts and dictionaries."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainer.config import DataError
from trainer.data.formats.columns import Column

# Labels are kept, counted and exchanged as numbers below this.
MOST_CLASSES = 65_536


class LabelColumn:
    """The labels of a file, gathered from parts of its column.

    Texts and the values of dictionaries are the names of classes; their order gives the labels.
    Texts that are whole numbers all of them are labels themselves.

    Args:
        column: The column.
        where: The file, for errors.
    """

    def __init__(self, column: Column, *, where: str) -> None:
        self._column, self._where = column, where
        self._parts: list[np.ndarray] = []
        self._codes: dict[str, int] = {}
        self._count = 0
        self._is_text = _is_text(column.type)

    def add(self, values: Any) -> None:
        """Add the next values: a pyarrow array.

        Raises:
            DataError: One is missing, no whole number or out of range.
        """
        if values.null_count:
            self._refuse(int(np.argmax(values.is_null().to_numpy(zero_copy_only=False))), "missing")
        found = self._encode(values) if self._is_text else self._whole(values)
        self._parts.append(found)
        self._count += len(found)

    def finish(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return the labels, int32 [n], and the names of the classes, if the column has them."""
        found = np.concatenate(self._parts) if self._parts else np.empty(0, np.int32)
        self._parts = []
        if not self._is_text:
            return found, self._column.class_names
        names = sorted(self._codes)
        if names and all(name.isascii() and name.isdigit() for name in names):
            longest = max(names, key=int)
            if int(longest) >= MOST_CLASSES:
                raise DataError(
                    subject=self._where,
                    problem=f"column {self._column.name}: label {longest[:20]} is out of range, "
                    f"expected 0 to {MOST_CLASSES - 1}",
                )
            return np.array([int(name) for name in self._codes], np.int32)[found], ()
        order = {name: label for label, name in enumerate(names)}
        return np.array([order[name] for name in self._codes], np.int32)[found], tuple(names)

    def _encode(self, values: Any) -> np.ndarray:
        """Return texts as the numbers of their first appearance."""
        import pyarrow as pa

        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        names = [str(name) for name in values.dictionary.to_pylist()]
        indices = np.asarray(values.indices).astype(np.int64)
        if "" in names and (empty := indices == names.index("")).any():
            self._refuse(int(np.argmax(empty)), "missing")
        # Values of a dictionary that no record has are classes, too.
        for name in names:
            if name != "":
                self._codes.setdefault(name, len(self._codes))
        if len(self._codes) > MOST_CLASSES:
            raise DataError(
                subject=self._where,
                problem=f"column {self._column.name} has more than {MOST_CLASSES:,} different "
                "labels",
                remedy="name the column of the labels: --feature label=NAME",
            )
        codes = np.array([self._codes.get(name, 0) for name in names] or [0], np.int32)
        return codes[indices]

    def _whole(self, values: Any) -> np.ndarray:
        """Return numbers as labels."""
        import pyarrow as pa

        if pa.types.is_boolean(values.type):
            values = values.cast(pa.uint8())
        elif pa.types.is_decimal(values.type):
            values = values.cast(pa.float64())
        elif not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            raise DataError(
                subject=self._where,
                problem=f"column {self._column.name} is of {values.type}, expected labels as "
                "numbers or texts",
                remedy="name the column of the labels: --feature label=NAME",
            )
        numbers = np.asarray(values)
        if numbers.dtype.kind == "f":
            wrong = ~(np.isfinite(numbers) & (numbers == np.rint(numbers)))
            if wrong.any():
                row = int(np.argmax(wrong))
                self._refuse(row, f"{numbers[row]:.6g}, expected a whole number")
            numbers = np.clip(numbers, -1, MOST_CLASSES).astype(np.int64)
        wrong = (numbers < 0) | (numbers >= MOST_CLASSES)
        if wrong.any():
            row = int(np.argmax(wrong))
            self._refuse(row, f"{int(numbers[row])}, expected 0 to {MOST_CLASSES - 1}")
        return numbers.astype(np.int32)

    def _refuse(self, row: int, problem: str) -> None:
        raise DataError(
            subject=self._where,
            problem=f"record {self._count + row}: the label (column {self._column.name}) is "
            f"{problem}",
        )


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return True
    return types.is_string(kind) or types.is_large_string(kind)
