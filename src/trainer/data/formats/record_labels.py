"""Labels of records: integers, whole floats, one-hot lists, digits or names as text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainer.data.formats.example_features import (
    BadExampleError,
    Feature,
    numbers_of,
    only_value,
    value_spans,
    varints,
)

LabelKind = Literal["int64", "float", "bytes", "one-hot"]
# Texts of digits up to this long are numbers.
MOST_DIGITS = 9


@dataclass(frozen=True)
class RecordLabels:
    """The form of the labels in the records of a data set.

    Attributes:
        name: The feature.
        kind: The type of its value; `one-hot` is a list of numbers, one of which is 1.
        names: The classes by name, in the order of their numbers, where labels are names.
    """

    name: str
    kind: LabelKind
    names: tuple[str, ...] = ()

    def value(self, raw: bytes, feature: Feature) -> int | float | bytes:
        """Return the label of one record, as it is stored.

        Raises:
            BadExampleError: It is not of this form.
            WireError: The record is damaged.
        """
        expected = "bytes" if self.kind == "bytes" else self.kind
        if self.kind == "one-hot":
            ones = np.flatnonzero(values := numbers_of(raw, feature))
            if ones.size != 1 or values[ones[0]] != 1:
                raise BadExampleError(
                    f"feature {self.name!r} holds {values.size} values, expected a single 1 among "
                    "zeros"
                )
            return int(ones[0])
        if feature.kind != expected:
            raise BadExampleError(f"feature {self.name!r} ({expected}) is of type {feature.kind}")
        start, stop = only_value(raw, feature, self.name)
        if self.kind == "bytes":
            if start == stop:
                raise BadExampleError(f"feature {self.name!r} is an empty text, expected a label")
            return raw[start:stop]
        if self.kind == "float":
            return float(np.frombuffer(raw, "<f4", 1, start)[0])
        return int(varints(raw[start:stop])[0])

    def ids(self, values: np.ndarray) -> np.ndarray:
        """Return labels as integers: int64 [n].

        Args:
            values: Those stored: integers, floats or texts [n].

        Raises:
            BadExampleError: One is not whole, or no class.
        """
        if values.dtype.kind in "iu":
            return values.astype(np.int64, copy=False)
        if values.dtype.kind == "f":
            wrong = ~((np.abs(values) < 2**53) & (values == np.rint(values)))
            if wrong.any():
                row = int(np.argmax(wrong))
                raise BadExampleError(f"label {values[row]:g} is not a whole number", row)
            return values.astype(np.int64)
        texts, places = np.unique(values, return_inverse=True)
        numbers = {name.encode(): i for i, name in enumerate(self.names)}
        ids = np.array([numbers.get(text, _number(text)) for text in texts.tolist()], np.int64)
        found = ids[places.reshape(-1)]
        if (found == UNKNOWN).any():
            row = int(np.argmax(found == UNKNOWN))
            raise BadExampleError(
                f"label {_shown(values[row])} is not among the classes of the training data or of "
                "--classes",
                row,
            )
        return found


UNKNOWN = np.iinfo(np.int64).min


def kind_of_label(raw: bytes, name: str, feature: Feature) -> LabelKind:
    """Return the form of the label in a record.

    Raises:
        BadExampleError: It is of no form that is read.
        WireError: The record is damaged.
    """
    spans = value_spans(raw, feature)
    if len(spans) == 1 and feature.kind in ("int64", "float", "bytes"):
        return feature.kind  # type: ignore[return-value]
    if len(spans) > 1 and feature.kind in ("int64", "float"):
        values = numbers_of(raw, feature)
        if np.isin(values, (0, 1)).all() and values.sum() == 1:
            return "one-hot"
    raise BadExampleError(
        f"feature {name!r} ({feature.kind}) holds {len(spans)} values, expected 1 label"
    )


def class_names(texts: Iterable[bytes]) -> tuple[str, ...]:
    """Return the names of classes, sorted; none if all of the labels are digits."""
    found = set(texts)
    if all(_number(text) != UNKNOWN for text in found):
        return ()
    return tuple(sorted(text.decode("utf-8", "replace") for text in found))


def _number(text: bytes) -> int:
    """Return the number that a text says, or `UNKNOWN`."""
    return int(text) if text.isdigit() and len(text) <= MOST_DIGITS else UNKNOWN


def _shown(text: bytes) -> str:
    return repr(text.decode("utf-8", "replace"))
