"""Row groups that were unpacked last, of all files of the process together."""

from __future__ import annotations

import collections
import threading

import numpy as np

from trainer.data.formats.column_images import Rows

# Bytes of row groups that stay in memory, of all files together.
KEPT_BYTES = 128 << 20


class KeptGroups:
    """Rows in memory, of which those that were not wanted for the longest time make room.

    Args:
        most: The bytes that all of them may take; one stays whatever it takes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups: collections.OrderedDict[tuple[int, int], Rows] = collections.OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int]) -> Rows | None:
        """Return the rows of a table's group, if they are there."""
        with self._lock:
            if key in self._groups:
                self._groups.move_to_end(key)
            return self._groups.get(key)

    def put(self, key: tuple[int, int], rows: Rows) -> None:
        """Keep the rows of a group: the table's `id`, and its number there."""
        with self._lock:
            self._groups[key] = rows
            size = sum(map(_bytes_of, self._groups.values()))
            while size > self._most and len(self._groups) > 1:
                size -= _bytes_of(self._groups.popitem(last=False)[1])

    def drop(self, table: int) -> None:
        """Forget the groups of a table that is gone."""
        with self._lock:
            for key in [key for key in self._groups if key[0] == table]:
                del self._groups[key]


KEPT_GROUPS = KeptGroups(KEPT_BYTES)


def _bytes_of(rows: Rows) -> int:
    return rows.nbytes if isinstance(rows, np.ndarray) else sum(map(len, rows))
