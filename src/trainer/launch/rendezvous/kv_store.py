"""The key-value store by which Horovod's ranks find each other's addresses.

Contract: `horovod/common/gloo/gloo_context.cc` and `http_store.cc`, `gloo/rendezvous/context.cc`.
A rank connects to others in three scopes, `global`, `local_HOST` and `cross_LOCAL-RANK`, and then
once more in the same scopes for the process set of all ranks. In each it writes the name of its
host under `rank_N` and its addresses under `N`, reads those of the others, and deletes `N` when all
are connected. So the store knows beforehand what will be written, takes each value once, and closes
after the last deletion: by then nobody reads any more.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from http import HTTPStatus

# Bytes of all values together: some kilobytes for each pair of ranks.
_ROOM = 256 << 20
# Process sets: one of all ranks, and those of a script's own.
_MOST_SETS = 64
_NAME = re.compile(
    r"/(?P<scope>[^/]{1,300}?)(?P<set>_process_set_hash_[0-9a-f]{1,16})?/(?P<host>rank_)?(?P<n>\d{1,6})",
    re.ASCII,
)
# A scope, and a rank in it.
Place = tuple[str, int]


class KeyValueStore:
    """Values by scope and rank; until it is opened it takes none.

    Args:
        room: The size of all values together, in bytes.
    """

    def __init__(self, *, room: int = _ROOM) -> None:
        self._lock = threading.Lock()
        self._room = room
        self._places: frozenset[Place] = frozenset()
        self._values: dict[str, bytes] = {}
        self._size = 0
        # By process set: the places that still have to connect.
        self._connecting: dict[str, set[Place]] = {}
        self._late_sets = False

    def open(self, places: Iterable[Place], *, late_sets: bool = False) -> None:
        """Take values from now on.

        Args:
            places: The scopes in which ranks connect, and as which rank each does.
            late_sets: Whether scripts may make process sets when all are connected.
        """
        with self._lock:
            self._places = frozenset(places)
            self._late_sets = late_sets

    @property
    def is_closed(self) -> bool:
        """True if all ranks are connected, or none is expected."""
        done = sum(not connecting for connecting in self._connecting.values())
        return not self._places or (done > 1 and not self._connecting[""])

    def get(self, name: str) -> bytes | None:
        """Return a value, or None."""
        with self._lock:
            return self._values.get(name)

    def put(self, name: str, value: bytes) -> HTTPStatus:
        """Keep a value unless there is another one, and return what became of it."""
        with self._lock:
            parsed = self._parse(name)
            if parsed is None:
                return HTTPStatus.FORBIDDEN
            process_set, place, is_host = parsed
            connecting = self._connecting.get(process_set, self._places)
            if self.is_closed and not (self._late_sets and process_set):
                return HTTPStatus.FORBIDDEN
            if name in self._values:
                # Horovod sends a request again whose answer was lost.
                same = self._values[name] == value
                return HTTPStatus.OK if same else HTTPStatus.CONFLICT
            if not is_host and place not in connecting:
                return HTTPStatus.CONFLICT
            if process_set not in self._connecting and len(self._connecting) > _MOST_SETS:
                return HTTPStatus.INSUFFICIENT_STORAGE
            if self._size + len(name) + len(value) > self._room:
                return HTTPStatus.INSUFFICIENT_STORAGE
            self._connecting.setdefault(process_set, set(self._places))
            self._values[name] = value
            self._size += len(name) + len(value)
            return HTTPStatus.OK

    def delete(self, name: str) -> None:
        """Forget a value that is there: its rank has connected to all others."""
        with self._lock:
            parsed = self._parse(name)
            if parsed is None or parsed[2] or name not in self._values:
                return
            self._size -= len(name) + len(self._values.pop(name))
            process_set, place, _ = parsed
            self._connecting[process_set].discard(place)

    def _parse(self, name: str) -> tuple[str, Place, bool] | None:
        """Return the process set, the place, and whether it is that of a host's name."""
        match = _NAME.fullmatch(name)
        if match is None or (match["scope"], int(match["n"])) not in self._places:
            return None
        return match["set"] or "", (match["scope"], int(match["n"])), match["host"] is not None
