"""Tables as a run wants them, taken apart for a graph: what it reads, and what it makes of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.config import DataError
from trainer.data.adapted import AdaptedTable
from trainer.data.formats.table import Table
from trainer.data.graph.pixels import resized
from trainer.data.graph.records import Pick, TableConstants
from trainer.data.subset import SubsetTable


@dataclass(frozen=True)
class TableView:
    """A table taken apart.

    Attributes:
        table: As its format opened it.
        rows: The numbers of the examples that are wanted: int64 [n]; None for all.
        labels: The new label of each of the table's, int32 [classes]; None keeps them.
        class_names: The names of the new ones.
    """

    table: Table
    rows: np.ndarray | None
    labels: np.ndarray | None
    class_names: tuple[str, ...]


def view_of(table: Table) -> TableView:
    """Return what a table is made of: a part of one whose images or labels are made anew."""
    names = table.class_names
    rows = labels = None
    if isinstance(table, SubsetTable):
        rows, table = table.rows, table.table
    if isinstance(table, AdaptedTable):
        labels, table = table.labels, table.table
    return TableView(table, rows, labels, names)


class GraphViews:
    """The difference between tables as formats open them and as a run wants them.

    Args:
        tables: As a run wants them.
        classes: The number of classes, if something else than the labels decides on it.

    Attributes:
        tables: As formats open them.
        constants: Of these.

    Raises:
        DataError: Their images are of several sizes, which no graph of ours resizes.
    """

    def __init__(self, tables: Sequence[Table], *, classes: int | None) -> None:
        views = [view_of(table) for table in tables]
        self.tables = [view.table for view in views]
        self._spec = tables[0].spec
        shape = self.tables[0].spec.shape
        other = next((table for table in self.tables if table.spec.shape != shape), None)
        if other:
            raise DataError(
                subject=other.name,
                problem="workers of a parameter server resize images of one size only, and "
                f"{self.tables[0].name} has others",
                remedy="write the data so first: trainer data create",
            )
        self._labels = _new_labels(views)
        known = classes if self._labels is None else self._labels.shape[1]
        self.constants = TableConstants(self.tables, classes=known)
        self._wanted = _wanted(views)

    def picking(self, table: tf.Tensor, pick: Pick) -> Pick:
        """Return what takes some of the wanted examples of a table, in place of all examples."""
        if self._wanted is None:
            return pick
        wanted, first = tf.constant(self._wanted), self.constants.firsts[table]
        count = self.constants.counts[table]

        def is_wanted(number: tf.Tensor) -> tf.Tensor:
            # Records that were not there when the job began are counted, and refused, later.
            inside = tf.minimum(number, count - 1)
            return tf.logical_or(number >= count, tf.gather(wanted, first + inside))

        def picked(records: tf.data.Dataset) -> tf.data.Dataset:
            if isinstance(records.element_spec, tuple):
                return pick(records.filter(lambda number, _: is_wanted(number)))
            # Numbers through all tables.
            return pick(records.filter(lambda number: is_wanted(number - first)))

        return picked

    def adapt(
        self, table: tf.Tensor, numbers: tf.Tensor, images: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return images and labels as the run wants them, see `TableConstants.insist`."""
        images = resized(images, self.constants.spec.shape, self._spec)
        if self._labels is None:
            return images, labels
        found = tf.gather(tf.constant(self._labels)[table], labels)
        expected = "which is none of its classes"
        text = tf.strings.as_string(labels)
        check = self.constants.insist(found >= 0, table, numbers, "label ", text, expected)
        with tf.control_dependencies([check]):
            return images, tf.identity(found)


def _wanted(views: Sequence[TableView]) -> np.ndarray | None:
    """Return whether each example of all tables is wanted; None if all are."""
    if all(view.rows is None for view in views):
        return None
    parts = []
    for view in views:
        part = np.full(len(view.table), view.rows is None)
        if view.rows is not None:
            part[view.rows] = True
        parts.append(part)
    return np.concatenate(parts)


def _new_labels(views: Sequence[TableView]) -> np.ndarray | None:
    """Return the new label of each table's: int32 [tables, classes], -1 for none; None for none."""
    if all(view.labels is None for view in views):
        return None
    kept = np.arange(max(len(view.class_names) for view in views), dtype=np.int32)
    rows = [kept if view.labels is None else view.labels for view in views]
    found = np.full((len(rows), max(map(len, rows))), -1, np.int32)
    for row, labels in zip(found, rows, strict=True):
        row[: len(labels)] = labels
    return found
