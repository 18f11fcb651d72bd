"""The columns of a table that hold images and labels: found by name and type."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trainer.config import DataError
from trainer.data.formats.image_layout import FEWEST_VALUES
from trainer.data.formats.read_options import ReadOptions

# The forms in which columns hold images: a column a pixel, a column of lists of pixels, of Spark's
# vectors, of texts of pixels, of encoded pictures, or of their files' names.
ImageForm = Literal["pixels", "lists", "vectors", "texts", "encoded", "paths"]

# Names of columns of labels and of images, in lower case, the first come first.
LABELS = ("label", "labels", "class", "target", "y")
IMAGES = (
    "image", "img", "images", "picture", "photo", "pixels", "pixel_values", "features", "x",
    "file", "filename", "file_name", "filepath", "image_path", "path",
)  # fmt: skip
# Numbers of rows, as pandas, R and Kaggle write them beside the data.
_INDEX = ("", "id", "index", "unnamed: 0", "__index_level_0__")
_SHOWN = 8


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Its name, or its number where the file has no names.
        type: Its type in pyarrow.
        feature: What Hugging Face's `datasets` calls it: `Image`, `ClassLabel`; empty elsewhere.
        class_names: The names of the classes, if it is a `ClassLabel`.
    """

    name: str
    type: Any
    feature: str = ""
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnLayout:
    """The place of labels and images in a table.

    Attributes:
        label: The column of labels.
        images: The column of images, or one for each pixel.
        form: How these hold them.
    """

    label: Column
    images: tuple[Column, ...]
    form: ImageForm


def columns_of(schema: Any) -> list[Column]:
    """Return the columns of a pyarrow schema, with what Hugging Face's metadata says of them."""
    features = _features((schema.metadata or {}).get(b"huggingface", b""))
    found = []
    for field in schema:
        about = features.get(field.name)
        about = about if isinstance(about, dict) else {}
        names = about.get("names")
        found.append(
            Column(
                field.name,
                field.type,
                str(about.get("_type", "")),
                tuple(map(str, names)) if isinstance(names, list) else (),
            )
        )
    return found


def column_layout(
    columns: Sequence[Column], *, where: str, options: ReadOptions, label: Column | None = None
) -> ColumnLayout:
    """Find labels and images among the columns of a table.

    Args:
        columns: All of them, in the order of the file.
        where: The file, for errors.
        options: `features` may name `label` and `image`.
        label: The column of labels, where the file has no names to go by.

    Raises:
        DataError: They are not there, or several are in question.
    """
    names = dict(options.features)
    if label is None or "label" in names:
        label = _label(columns, names.get("label"), where)
    others = [column for column in columns if column is not label]
    if "image" in names:
        image = _named(others, names["image"], role="image", where=where)
        form = image_form(image.type)
        if form is None:
            raise DataError(
                subject=where,
                problem=f"column {image.name} is of {image.type}, expected encoded pictures, "
                "their files or lists of pixels",
            )
        return ColumnLayout(label, (image,), form)
    return _images(label, others, where)


def is_number(kind: Any) -> bool:
    """Return whether a pyarrow type is of integers or floats."""
    from pyarrow import types

    return types.is_integer(kind) or types.is_floating(kind)


def image_form(kind: Any) -> ImageForm | None:
    """Return how a column of a pyarrow type holds images, or None if it does not."""
    from pyarrow import BaseExtensionType, types

    if isinstance(kind, BaseExtensionType):
        kind = kind.storage_type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        if fields.keys() == {"type", "size", "indices", "values"}:
            return "vectors"
        return "encoded" if "bytes" in fields and _is_binary(fields["bytes"]) else None
    if _is_binary(kind):
        return "encoded"
    if types.is_string(kind) or types.is_large_string(kind):
        return "paths"
    depth = 0
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    return "lists" if depth and is_number(kind) else None


def listed(columns: Sequence[Column]) -> str:
    """Return the names of columns for a message: the first, and how many more there are."""
    names = [column.name for column in columns]
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _is_binary(kind: Any) -> bool:
    from pyarrow import types

    return types.is_binary(kind) or types.is_large_binary(kind)


def _label(columns: Sequence[Column], name: str | None, where: str) -> Column:
    if name is not None:
        return _named(columns, name, role="label", where=where)
    classes = [column for column in columns if column.feature == "ClassLabel"]
    if len(classes) == 1:
        return classes[0]
    for wanted in LABELS:
        for column in columns:
            if column.name.strip().lower() == wanted:
                return column
    if classes:
        problem = f"has several columns of labels: {listed(classes)}"
    else:
        problem = f"has no column {_either(LABELS)}, only {listed(columns)}"
    raise DataError(
        subject=where, problem=problem, remedy="name that of the labels: --feature label=NAME"
    )


def _images(label: Column, others: Sequence[Column], where: str) -> ColumnLayout:
    """Find the images among the columns that are not the labels."""
    forms = {column: image_form(column.type) for column in others}
    pixels = [c for c in others if is_number(c.type) and c.name.strip().lower() not in _INDEX]
    groups = [
        [c for c in others if c.feature == "Image" and forms[c]],
        [c for c in others if forms[c] == "encoded"],
        [c for c in others if forms[c] in ("lists", "vectors")],
    ]
    for found in groups:
        if len(found) == 1:
            return ColumnLayout(label, (found[0],), forms[found[0]] or "encoded")
    if len(pixels) >= FEWEST_VALUES and not any(groups):
        return ColumnLayout(label, tuple(pixels), "pixels")
    for wanted in IMAGES:
        for column in others:
            form = forms[column]
            if form and column.name.strip().lower() == wanted:
                return ColumnLayout(label, (column,), form)
    raise DataError(
        subject=where,
        problem=f"no images among the columns besides {label.name}: "
        f"{listed(others) or 'there are none'}",
        remedy="name theirs: --feature image=NAME; a module takes tables of other data",
    )


def _named(columns: Sequence[Column], name: str, *, role: str, where: str) -> Column:
    found = [column for column in columns if column.name == name]
    if len(found) != 1:
        problem = "no column" if not found else f"{len(found)} columns"
        raise DataError(
            subject=where,
            problem=f"{problem} {name} (--feature {role}={name}) among {listed(columns)}",
        )
    return found[0]


def _features(metadata: bytes) -> dict[str, Any]:
    """Return the description of columns that Hugging Face's `datasets` writes, or nothing."""
    try:
        found = json.loads(metadata)["info"]["features"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
