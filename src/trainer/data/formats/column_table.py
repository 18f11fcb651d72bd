"""Tables whose labels are in memory and whose images are read by columns: CSV and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainer.data.formats.column_images import ImageColumns, Rows
from trainer.data.formats.column_labels import merged_names
from trainer.data.formats.table import Table


class ColumnTable(Table):
    """Labelled images of one file of columns: the base of each such format's own.

    Args:
        path: The file.
        images: The way from its columns to images.
        labels: int32 [n].
        class_names: The names of the classes; empty if the file does not tell.
    """

    def __init__(
        self, path: Path, images: ImageColumns, labels: np.ndarray, class_names: tuple[str, ...]
    ) -> None:
        self.name, self.path = str(path), path
        self.damage: list[str] = []
        self.images, self.labels, self.class_names = images, labels, class_names
        self.spec, self.note = images.spec, images.note

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        return self.images.images(self.rows(start, stop), start), self.labels[start:stop]

    def rows(self, start: int, stop: int) -> Rows:
        """Return the images of some records as rows of bytes.

        Raises:
            DataError: A record is damaged, or has no image like the others.
        """
        raise NotImplementedError

    def label_counts(self) -> np.ndarray:
        """See `Table.label_counts`."""
        return np.bincount(self.labels).astype(np.int64)


def settled(tables: Sequence[ColumnTable]) -> list[Table]:
    """Return the tables of a split, all with the same names of classes.

    Writers leave files without a record, which say nothing of the form of images: they are left
    out where there are others.

    Texts give labels by their order among all files: a class may be in some of them only.
    """
    tables = [table for table in tables if len(table)] or tables[:1]
    names = merged_names([table.class_names for table in tables])
    if names:
        number = {name: label for label, name in enumerate(names)}
        for table in tables:
            labels = np.array([number[name] for name in table.class_names], np.int32)
            table.labels, table.class_names = labels[table.labels], names
    return list(tables)
