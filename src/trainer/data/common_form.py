"""Facts that hold for all tables of a data set: the form of the images, and the classes."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.config import DataError
from trainer.data.formats.table import ImageSpec, Table


def common_spec(tables: Sequence[Table]) -> ImageSpec:
    """Return the form of the images of all tables.

    Raises:
        DataError: They differ.
    """
    filled = [table for table in tables if len(table)]
    for table in filled:
        ours, other = filled[0].spec, table.spec
        if other != ours:
            mine, its = (f"{s.text} of {s.dtype} {s.low:g} to {s.high:g}" for s in (ours, other))
            if other.shape != ours.shape:
                mine, its = ours.text, other.text
            raise DataError(
                subject=table.name,
                problem=f"images are {its}, those of {filled[0].name} {mine}",
                remedy="give images of one form, or --image-size HEIGHT,WIDTH to resize them"
                if other.shape != ours.shape
                else "give images of one form",
            )
    return filled[0].spec if filled else ImageSpec()


def names_of(tables: Sequence[Table]) -> tuple[str, ...]:
    """Return the names of the classes of some tables, which `open_tables` has made all the same."""
    return max((table.class_names for table in tables), key=len, default=())


def largest_label(tables: Sequence[Table]) -> int:
    """Return the largest label in some tables, -1 if there is none."""
    return max((table.label_counts().size - 1 for table in tables if len(table)), default=-1)
