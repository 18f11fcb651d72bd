"""The files and records that examples come from, by their numbers through all tables."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np

from trainer.data.formats.table import Table

# Files that a message names.
MOST_NAMED = 16


class ExamplePlaces:
    """The places of examples.

    Args:
        tables: All tables.
        firsts: The number of the first example of each.
    """

    def __init__(self, tables: Sequence[Table], firsts: Sequence[int]) -> None:
        self._tables, self._firsts = tables, firsts

    def of(self, number: int) -> tuple[str, int]:
        """Return the file of an example, and its number there."""
        at = bisect.bisect_right(self._firsts, number) - 1
        table, inside = self._tables[at], number - self._firsts[at]
        return table.source(inside), table.record(inside)

    def text(self, ids: np.ndarray) -> str:
        """Return the files that hold some examples, and their records there."""
        by_file: dict[str, list[int]] = {}
        for number in np.sort(ids).tolist():
            source, record = self.of(number)
            by_file.setdefault(source, []).append(record)
        names = [
            f"{name} (records {', '.join(map(str, n[:8]))}{', …' if len(n) > 8 else ''})"
            for name, n in by_file.items()
        ]
        more = [f"{len(names) - MOST_NAMED} more files"] if len(names) > MOST_NAMED else []
        return "; ".join(names[:MOST_NAMED] + more)
