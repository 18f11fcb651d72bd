"""Tables of two arrays: images and labels, of any type, layout and form that these have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainer.config import DataError
from trainer.data.formats.format import Format
from trainer.data.formats.image_layout import MOST_VALUES
from trainer.data.formats.labels import check_form, labels_of
from trainer.data.formats.pixels import SAMPLE_RECORDS, pixel_form, sampled_blocks
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.formats.stored_array import StoredArray
from trainer.data.formats.table import Table

if TYPE_CHECKING:
    from trainer.data.graph.records import GraphRecords, TableConstants

# Values looked at together: of labels, and of each place from which a sample of pixels is taken.
LABEL_VALUES = 1 << 22
SAMPLE_VALUES = 1 << 22


class ArrayTable(Table):
    """The images of one array with the labels of another.

    Args:
        kind: See `Table`.
        images: The images: rows of pixels, with or without channels, first or last.
        labels: Their labels, in any form that `labels_of` reads.
        name: See `Table`.
        options: How to read them.

    Attributes:
        stored: The images as they lie in their file.
        form: The way from them to images.
        labels: Integers [n].
        sample: The extremes of some pixels.

    Raises:
        DataError: The counts differ, or one of the arrays is not what it should be.
    """

    def __init__(
        self,
        kind: str,
        images: StoredArray,
        labels: StoredArray,
        *,
        name: str,
        options: ReadOptions = DEFAULTS,
    ) -> None:
        self.kind = kind
        self.name = name
        self.damage: list[str] = []
        self.stored, self._options = images, options
        self.sample = _sample(images)
        self.infer_form(self.sample)
        self.labels, self.class_names = _read_labels(labels)
        counts = (images.shape[0], labels.shape[0])
        if counts[0] != counts[1]:
            raise DataError(
                subject="",
                problem=f"{images.name} has {counts[0]} images, but {labels.name} has "
                f"{counts[1]} labels",
            )

    def __len__(self) -> int:
        return self.labels.size

    def infer_form(self, sample: np.ndarray) -> None:
        """Set the form of the images by pixels of this file, and perhaps of others."""
        stored = self.stored
        self.form = pixel_form(
            stored.shape[1:], stored.dtype, sample, where=stored.name, options=self._options
        )
        self.spec, self.note = self.form.spec, self.form.note

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        rows = self.stored.rows(start, stop)
        images = self.form.images(rows, where=self.stored.name, first=start)
        return images, self.labels[start:stop]

    def all_labels(self) -> np.ndarray:
        """See `Table.all_labels`."""
        return np.asarray(self.labels, np.int32)


class ArrayFormat(Format):
    """A format of arrays: images of one type in several files are of one range."""

    def open_all(
        self, files: Sequence[tuple[Path, Path | None]], options: ReadOptions
    ) -> list[Table]:
        """Open the files of a split, each as a table.

        The pixels of one file may all be dark: what is inferred from them is inferred from those of
        all files of a type.

        Raises:
            DataError: As from `Format.open_all`.
        """
        tables = super().open_all(files, options)
        arrays = [table for table in tables if isinstance(table, ArrayTable)]
        samples: dict[np.dtype, list[np.ndarray]] = {}
        for table in arrays:
            samples.setdefault(table.sample.dtype, []).append(table.sample)
        for table in arrays:
            if len(table) and len(of_type := samples[table.sample.dtype]) > 1:
                table.infer_form(np.concatenate(of_type))
        return tables

    def graph_records(self, tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
        """See `Format.graph_records`; no graph reads Fortran order or several forms at once."""
        from trainer.data.graph import fixed_length

        arrays = [table for table in tables if isinstance(table, ArrayTable)]
        if not fixed_length.is_readable(arrays):
            return super().graph_records(tables, constants)
        return fixed_length.records(arrays, constants)


def _sample(images: StoredArray) -> np.ndarray:
    """Return the extremes of some images of all over a file; none if they have no numbers."""
    values = math.prod(images.shape[1:])
    extremes = []
    if images.shape and images.dtype.kind in "iufb" and 0 < values <= MOST_VALUES:
        run = max(1, min(SAMPLE_RECORDS // 4, SAMPLE_VALUES // values))
        for start, stop in sampled_blocks(images.shape[0], block=run):
            rows = images.rows(start, stop)
            extremes += [rows.min(), rows.max()]
    return np.array(extremes, images.dtype)


def _read_labels(labels: StoredArray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as integers, and the names of the classes if they are names."""
    # Checked before any is read, as an array of another form may be of any length.
    check_form(labels.shape, labels.dtype, where=labels.name)
    count, columns = labels.shape[0], math.prod(labels.shape[1:])
    # Names are sorted all together; they have one column.
    step = count if columns == 1 else max(1, LABEL_VALUES // columns)
    parts = [
        labels_of(labels.rows(start, min(start + step, count)), where=labels.name, first=start)
        for start in range(0, count, max(1, step))
    ]
    if not parts:
        return np.empty(0, np.int32), ()
    return np.concatenate([numbers for numbers, _ in parts]), parts[0][1]
