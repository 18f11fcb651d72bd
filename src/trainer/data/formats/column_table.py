"""Tables whose labels are in memory and whose images are read by columns: CSV and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainer.data.formats.column_images import ImageColumns, PixelColumns, Rows
from trainer.data.formats.table import Table


class ColumnTable(Table):
    """Labelled images of one file of columns: the base of each such format's own.

    Args:
        path: The file.
        images: The way from its columns to images.

    Attributes:
        labels: int32 [n].
    """

    def __init__(self, path: Path, images: ImageColumns) -> None:
        self.name, self.path = str(path), path
        self.damage: list[str] = []
        self.images = images
        self.spec, self.note = images.spec, images.note
        self.labels = np.empty(0, np.int32)

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

    def all_labels(self) -> np.ndarray:
        """See `Table.all_labels`."""
        return np.asarray(self.labels, np.int32)


def share_range(tables: Sequence[ColumnTable]) -> None:
    """Infer the range of pixels from all files of a split.

    The pixels of one file may all be dark, so that it would be taken for another range.
    """
    samples: dict[np.dtype, list[np.ndarray]] = {}
    found = [table for table in tables if isinstance(table.images, PixelColumns)]
    for table in found:
        assert isinstance(table.images, PixelColumns)
        samples.setdefault(table.images.extremes.dtype, []).append(table.images.extremes)
    for table in found:
        assert isinstance(table.images, PixelColumns)
        if len(of_type := samples[table.images.extremes.dtype]) > 1:
            table.images.infer_form(np.concatenate(of_type))
            table.spec = table.images.spec


def filled(tables: Sequence[ColumnTable]) -> list[Table]:
    """Return the tables of a split that have records; one without if none has.

    Writers leave files without a record, which say nothing of the form of images.
    """
    return [table for table in tables if len(table)] or list(tables[:1])
