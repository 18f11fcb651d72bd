"""Numbers of images from columns: one column a pixel, lists, Spark's vectors, texts of numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from trainer.config import DataError
from trainer.data.formats.columns import ImageForm
from trainer.data.formats.image_layout import FEWEST_VALUES

# The most values of a vector, which a sparse one may claim without having them.
MOST_VALUES = 1 << 22
# A text of numbers, as FER2013 has its pixels: `70 80 82 …`.
_NUMBERS = re.compile(rf"\s*[\d.eE+-]+(\s+[\d.eE+-]+){{{FEWEST_VALUES - 1},}}\s*")


def stored_values(
    arrays: Sequence[Any], form: ImageForm, names: Sequence[str], *, where: str, first: int
) -> np.ndarray:
    """Return the numbers of images as they are stored.

    Args:
        arrays: Columns of some records, as pyarrow's arrays.
        form: How they hold images.
        names: Their names, for errors.
        where: The file, for errors.
        first: The number of the first record, for errors.

    Returns:
        Of a type of numbers [n, *stored].

    Raises:
        DataError: A value is missing, or a list is longer or shorter than others.
    """
    for array, name in zip(arrays, names, strict=True):
        if array.null_count:
            raise missing(array, name, where, first)
    if form == "vectors":
        return _vectors(arrays[0], name=names[0], where=where, first=first)
    if form == "texts":
        return _unnested(
            _numbers_of(arrays[0], name=names[0], where=where, first=first),
            name=names[0],
            where=where,
            first=first,
        )
    if form == "lists":
        return _unnested(arrays[0], name=names[0], where=where, first=first)
    found = [np.asarray(array) for array in arrays]
    values = np.empty((len(arrays[0]), len(arrays)), np.result_type(*{a.dtype for a in found}))
    for i, column_values in enumerate(found):
        values[:, i] = column_values
    return values


def holds_pixels(array: Any) -> bool:
    """Return whether texts are numbers of pixels, rather than names of files, by the first."""
    text = array[0].as_py() if len(array) else None
    return isinstance(text, str) and bool(_NUMBERS.fullmatch(text))


def missing(array: Any, name: str, where: str, first: int, *, per: int = 1) -> DataError:
    """Return the error of the first value that is missing in an array, `per` of them a record."""
    row = 0
    if array is not None:
        row = int(np.argmax(array.is_null().to_numpy(zero_copy_only=False))) // per
    return DataError(subject=where, problem=f"record {first + row}: column {name} is empty")


def _unnested(array: Any, *, name: str, where: str, first: int) -> np.ndarray:
    """Return lists, or lists of lists, as one array."""
    import pyarrow as pa

    count, shape = len(array), []
    if isinstance(array.type, pa.BaseExtensionType):
        shape = list(getattr(array.type, "shape", []))
        array = array.storage
    depth = 0
    while pa.types.is_nested(array.type):
        if array.null_count:
            raise DataError(subject=where, problem=f"column {name}: a list of pixels is missing")
        size = _length(array, name=name, where=where, first=first)
        array, depth = array.flatten(), depth + 1
        if not shape or depth > 1:
            shape.append(size)
    if array.null_count:
        raise missing(array, name, where, first, per=max(1, len(array) // max(1, count)))
    return np.asarray(array).reshape(count, *shape)


def _numbers_of(array: Any, *, name: str, where: str, first: int) -> Any:
    """Return texts of numbers as lists: of integers where the first one has no fraction."""
    import pyarrow as pa
    from pyarrow import compute

    lists = compute.utf8_split_whitespace(compute.utf8_trim_whitespace(array))
    has_fractions = any(mark in array[0].as_py() for mark in ".eE") if len(array) else False
    kind, expected = (pa.float32(), "numbers") if has_fractions else (pa.int32(), "whole numbers")
    try:
        return lists.cast(pa.list_(kind))
    except ValueError:
        for row, values in enumerate(lists):
            try:
                values.values.cast(kind)
            except ValueError as error:
                value = str(error).partition("'")[2].rpartition("'")[0]
                raise DataError(
                    subject=where,
                    problem=f"record {first + row}: column {name} has '{value[:40]}', expected "
                    f"{expected}",
                ) from None
        raise


def _vectors(array: Any, *, name: str, where: str, first: int) -> np.ndarray:
    """Return Spark's vectors as one array.

    Sparse ones (`type` 0) have values at `indices`, the others all values (the class VectorUDT of
    org.apache.spark.ml.linalg).
    """
    from pyarrow import compute

    is_sparse = np.asarray(array.field("type")) == 0
    values, indices = array.field("values"), array.field("indices")
    lengths = compute.fill_null(compute.list_value_length(values), 0).to_numpy()
    sizes = np.where(
        is_sparse, compute.fill_null(array.field("size"), 0).to_numpy(zero_copy_only=False), lengths
    )
    size = int(sizes[0]) if len(sizes) else 0
    places = compute.fill_null(compute.list_value_length(indices), 0).to_numpy()
    if size > MOST_VALUES:
        raise DataError(
            subject=where,
            problem=f"record {first}: column {name} has {size:,} values, expected "
            f"no more than {MOST_VALUES:,}",
        )
    wrong = (sizes != size) | (is_sparse & (places != lengths))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            subject=where,
            problem=f"record {first + row}: column {name} has {int(sizes[row])} values, expected "
            f"{size} as in record {first}",
        )
    numbers = np.asarray(values.flatten())
    rows = np.repeat(np.arange(len(array)), lengths)
    # The place of each value in its vector: by its index where it is sparse, else by counting.
    columns = np.arange(len(numbers)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    given = np.asarray(indices.flatten())
    columns[is_sparse[rows]] = given[np.repeat(is_sparse, places)]
    if columns.size and not 0 <= columns.min() <= columns.max() < size:
        raise DataError(
            subject=where, problem=f"column {name}: an index of a vector is not below {size}"
        )
    found = np.zeros((len(array), size), np.float32)
    found[rows, columns] = numbers
    return found


def _length(array: Any, *, name: str, where: str, first: int) -> int:
    """Return the length of the lists of an array, which all have the same."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_fixed_size_list(array.type):
        return array.type.list_size
    lengths = compute.list_value_length(array).to_numpy(zero_copy_only=False)
    if not len(lengths):
        return 0
    wrong = lengths != lengths[0]
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            subject=where,
            problem=f"record {first + row}: column {name} has {lengths[row]} values, expected "
            f"{lengths[0]} as in record {first}",
        )
    return int(lengths[0])
