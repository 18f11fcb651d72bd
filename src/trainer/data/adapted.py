"""Tables as a run wants them: images of another size, labels in another order of classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from trainer.config import DataError
from trainer.data.formats.picture import Picture
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.resize import resize_images
from trainer.data.formats.table import ImageSpec, Table


class AdaptedTable(Table):
    """A table whose images are resized, or whose labels are given anew.

    Args:
        table: The table.
        spec: The form of images that is wanted; another height and width than the table's.
        labels: The new label of each of the table's, int32 [classes]; None keeps them.
        class_names: The names of the new ones.

    Attributes:
        table: The same.
        labels: The same.
    """

    def __init__(
        self,
        table: Table,
        *,
        spec: ImageSpec,
        labels: np.ndarray | None,
        class_names: tuple[str, ...],
    ) -> None:
        self.kind, self.name, self.damage, self.note = (
            table.kind, table.name, table.damage, table.note,
        )  # fmt: skip
        self.spec, self.class_names = spec, class_names
        self.table, self.labels = table, labels
        if spec.shape == table.spec.shape:
            self.picture_bytes = table.picture_bytes

    def __len__(self) -> int:
        return len(self.table)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        images, labels = self.table.read(start, stop)
        images = resize_images(images, self.spec.shape[:2])
        return images, labels if self.labels is None else self.labels[labels]

    def pictures(self, start: int, stop: int) -> tuple[list[Picture], np.ndarray]:
        """See `Table.pictures`."""
        pictures, labels = self.table.pictures(start, stop)
        return pictures, labels if self.labels is None else self.labels[labels]

    def source(self, number: int) -> str:
        """See `Table.source`."""
        return self.table.source(number)

    def all_labels(self) -> np.ndarray:
        """See `Table.all_labels`."""
        labels = self.table.all_labels()
        return labels if self.labels is None else self.labels[labels]


def adapted(tables: Sequence[Table], options: ReadOptions) -> list[Table]:
    """Return tables with the image size, the pixel range and the classes that options ask for.

    Formats may heed size and range themselves; this does what they left.

    Raises:
        DataError: A table has a class that is not wanted.
    """
    names = options.class_names or all_names(tables)
    found = []
    for table in tables:
        spec = table.spec
        if options.pixel_range and (spec.low, spec.high) != options.pixel_range:
            low, high = options.pixel_range
            table.spec = spec = dataclasses.replace(spec, low=low, high=high)
        if options.image_size:
            height, width = options.image_size
            spec = dataclasses.replace(spec, shape=(height, width, spec.shape[2]))
        labels = _new_labels(table, names)
        if spec != table.spec or labels is not None:
            table = AdaptedTable(table, spec=spec, labels=labels, class_names=names)
        elif not table.class_names:
            table.class_names = names
        found.append(table)
    return found


def all_names(tables: Sequence[Table]) -> tuple[str, ...]:
    """Return the names of the classes of all tables, sorted if each table's are."""
    listed = [table.class_names for table in tables if table.class_names]
    names = tuple(dict.fromkeys(name for each in listed for name in each))
    in_order = all(each == tuple(sorted(each)) for each in listed)
    return tuple(sorted(names)) if in_order else names


def _new_labels(table: Table, names: tuple[str, ...]) -> np.ndarray | None:
    """Return the place of each of a table's classes among `names`; None if nothing changes."""
    own = table.class_names
    if not own or own == names[: len(own)]:
        return None
    places = {name: label for label, name in enumerate(names)}
    for name in own:
        if name not in places:
            raise DataError(
                subject=table.name,
                problem=f"has the class {name}, which is not among those of the training data or "
                f"of --classes: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}",
            )
    return np.array([places[name] for name in own], np.int32)
