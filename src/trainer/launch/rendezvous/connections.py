"""The connections that stand at the coordinator's port: few for strangers, and none for long.

Whoever reaches the port may open connections and send nothing. They get a share of their own, so
that the hosts of the job are answered whatever strangers do.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from trainer.launch.rendezvous.origin import Origin

# At once, of one address and user that has joined, or is this one: some for each of its ranks.
_MEMBERS = 2048
# Of one that has not, and of all of them: hosts that are about to join are among them.
_STRANGER, _STRANGERS = 16, 256
# Seconds for a client to send its request.
PATIENCE = 10.0


@dataclass
class _Connection:
    origin: Origin
    stranger: bool
    due: float


class Connections:
    """Those that stand at the moment.

    Args:
        is_member: Whether a host of the job has joined from there.
        patience: Seconds for a client to send its request.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        is_member: Callable[[Origin], bool],
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_member = is_member
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._standing: dict[socket.socket, _Connection] = {}
        self._awaited: set[socket.socket] = set()
        self._counts: Counter[tuple[str, int | None]] = Counter()
        self._strangers = 0

    def accept(self, connection: socket.socket) -> bool:
        """Take note of a new one; return False if there are too many from there."""
        try:
            origin = Origin.of(connection)
        except OSError:
            return False
        stranger = not self.trusts(origin)
        with self._lock:
            place = (origin.address, origin.user)
            if self._counts[place] >= (_STRANGER if stranger else _MEMBERS):
                return False
            if stranger and self._strangers >= _STRANGERS:
                return False
            self._counts[place] += 1
            self._strangers += stranger
            due = self._clock() + self._patience
            self._standing[connection] = _Connection(origin, stranger, due)
            self._awaited.add(connection)
        return True

    def trusts(self, origin: Origin) -> bool:
        """Return whether a connection is from a host of the job."""
        return origin.is_own or self._is_member(origin)

    def origin(self, connection: socket.socket) -> Origin:
        """Return where an accepted connection comes from."""
        with self._lock:
            return self._standing[connection].origin

    def received(self, connection: socket.socket) -> None:
        """Take note that its request is here as a whole."""
        with self._lock:
            self._awaited.discard(connection)

    def end(self, connection: socket.socket) -> None:
        """Take note that it ends."""
        with self._lock:
            self._awaited.discard(connection)
            ended = self._standing.pop(connection, None)
            if ended:
                place = (ended.origin.address, ended.origin.user)
                self._counts[place] -= 1
                if not self._counts[place]:
                    del self._counts[place]
                self._strangers -= ended.stranger

    def cut_slow(self) -> None:
        """Cut off those whose requests are overdue."""
        with self._lock:
            now = self._clock()
            overdue = [each for each in self._awaited if now >= self._standing[each].due]
            self._awaited.difference_update(overdue)
        for connection in overdue:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
