"""Training data of which a part is held out for validation: `--validation-split`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.config import Split, UserError
from trainer.data.formats.table import RUN_RECORDS, Table

# Keeps these random numbers apart from those that order examples.
_STREAM = 0x5350_4C49_54


class SubsetTable(Table):
    """Some of the examples of a table, in the same order.

    Its blocks are what is left of those of the table, so that a block is read without its
    neighbours.

    Args:
        table: The table.
        rows: The numbers of its examples, ascending: int64 [n].

    Attributes:
        table: The same.
        rows: The same.
    """

    def __init__(self, table: Table, rows: np.ndarray) -> None:
        self.kind, self.name, self.damage, self.note = (
            table.kind, table.name, table.damage, table.note,
        )  # fmt: skip
        self.spec, self.class_names = table.spec, table.class_names
        self.table, self.rows = table, rows
        self._edges = np.append(table.block_starts(), len(table))

    def __len__(self) -> int:
        return int(self.rows.size)

    def block_starts(self) -> np.ndarray:
        """See `Table.block_starts`."""
        starts = np.unique(np.searchsorted(self.rows, self._edges[:-1]))
        return starts[starts < self.rows.size]

    def record(self, number: int) -> int:
        """See `Table.record`."""
        return self.table.record(int(self.rows[number]))

    def source(self, number: int) -> str:
        """See `Table.source`."""
        return self.table.source(int(self.rows[number]))

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`; `start` and `stop` may be any numbers."""
        rows = self.rows[start:stop]
        images = np.empty((rows.size, *self.spec.shape), self.spec.dtype)
        labels = np.empty(rows.size, np.int32)
        most = self.spec.records(RUN_RECORDS)
        at = 0
        while at < rows.size:
            block = int(np.searchsorted(self._edges, rows[at], side="right")) - 1
            # Neighbours go in one read, as far as they hold something that is wanted.
            first, end = int(self._edges[block]), block + 1
            while (
                end < self._edges.size - 1
                and self._edges[end + 1] - first <= most
                and np.searchsorted(rows, self._edges[end + 1])
                > np.searchsorted(rows, self._edges[end])
            ):
                end += 1
            last = int(self._edges[end])
            into = slice(at, int(np.searchsorted(rows, last)))
            read, found = self.table.read(first, last)
            images[into], labels[into] = read[rows[into] - first], found[rows[into] - first]
            at = into.stop
        return images, labels

    def all_labels(self) -> np.ndarray:
        """See `Table.all_labels`."""
        return self.table.all_labels()[self.rows]


@dataclass(frozen=True, kw_only=True)
class HoldOut:
    """The part of the training data that is held out for validation.

    It has the same share of each class, and depends on the labels and the seed alone: not on the
    number of processes, nor on whether data is in memory.

    Attributes:
        share: Of each class, above 0.
        seed: The seed of the choice.
    """

    share: float
    seed: int

    def of(self, tables: Sequence[Table], *, split: Split) -> list[Table]:
        """Return what of the training data is for a split; test data is left as it is.

        Raises:
            UserError: It is nothing.
            DataError: A label cannot be read.
        """
        if split == "validation":
            return self.taken(tables)
        return self.rest(tables) if split == "train" else list(tables)

    def taken(self, tables: Sequence[Table]) -> list[Table]:
        """Return what is held out.

        Raises:
            UserError: It is nothing.
            DataError: A label cannot be read.
        """
        found = self._subsets(tables, taken=True)
        if not found:
            count = sum(map(len, tables))
            raise UserError(
                subject=f"--validation-split {self.share:g}",
                problem=f"takes none of {count} training examples",
                remedy="take a greater share, or name data with --validation",
            )
        return found

    def rest(self, tables: Sequence[Table]) -> list[Table]:
        """Return what is left to train on."""
        return self._subsets(tables, taken=False)

    def _subsets(self, tables: Sequence[Table], *, taken: bool) -> list[Table]:
        labels = [table.all_labels() for table in tables]
        mask = self._chosen(np.concatenate(labels))
        ends = [*itertools.accumulate(map(len, labels))]
        rows = [np.flatnonzero(part == taken) for part in np.split(mask, ends[:-1])]
        pairs = zip(tables, rows, strict=True)
        return [SubsetTable(table, each) for table, each in pairs if each.size]

    def _chosen(self, labels: np.ndarray) -> np.ndarray:
        """Return whether each example is held out: of a class the share, and never all."""
        random = np.random.Generator(np.random.Philox(key=[self.seed, _STREAM]))
        order = np.lexsort((random.random(labels.size), labels))
        counts = np.bincount(labels)
        wanted = np.minimum(np.maximum(np.rint(counts * self.share), 1), counts - 1)
        places = np.arange(labels.size) - (np.cumsum(counts) - counts)[labels[order]]
        chosen = np.zeros(labels.size, bool)
        chosen[order] = places < wanted[labels[order]]
        return chosen
