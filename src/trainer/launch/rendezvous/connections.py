"""Connections to the coordinator's port: few for strangers, and none for long.

Whoever reaches the port may open connections and send nothing. They get a share of their own, so
that the hosts of the job get their responses whatever strangers do.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from trainer.launch.rendezvous.origin import Origin, Place
from trainer.launch.timeouts import DEFAULTS

# Connections at once from one address and user that has joined, or is this one: some for each rank.
_MOST_OF_MEMBER = 2048
# The same for one that has not joined, and for all of those together: hosts that are about to join
# are among them.
MOST_OF_STRANGER, _MOST_OF_STRANGERS = 16, 256


@dataclass
class _Connection:
    origin: Origin
    stranger: bool
    due: float


class Connections:
    """The connections that stand at the moment.

    Args:
        is_member: Returns whether a host of the job has joined from there.
        read_timeout: Seconds for a client to send its request.
        clock: Returns seconds, never going back.
    """

    def __init__(
        self,
        is_member: Callable[[Origin], bool],
        *,
        read_timeout: float = DEFAULTS.request_read,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_member = is_member
        self._read_timeout = read_timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._standing: dict[socket.socket, _Connection] = {}
        self._awaited: set[socket.socket] = set()
        self._counts: Counter[Place] = Counter()
        self._strangers = 0

    def accept(self, connection: socket.socket) -> bool:
        """Count a new connection; return False if there are too many from there."""
        try:
            origin = Origin.of(connection)
        except OSError:
            return False
        stranger = not self.trusts(origin)
        with self._lock:
            place = origin.place
            if self._counts[place] >= (MOST_OF_STRANGER if stranger else _MOST_OF_MEMBER):
                return False
            if stranger and self._strangers >= _MOST_OF_STRANGERS:
                return False
            self._counts[place] += 1
            self._strangers += stranger
            due = self._clock() + self._read_timeout
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
        """Count the request of a connection as received."""
        with self._lock:
            self._awaited.discard(connection)

    def end(self, connection: socket.socket) -> None:
        """Forget a connection that ends."""
        with self._lock:
            self._awaited.discard(connection)
            ended = self._standing.pop(connection, None)
            if ended:
                place = ended.origin.place
                self._counts[place] -= 1
                if not self._counts[place]:
                    del self._counts[place]
                self._strangers -= ended.stranger

    def close_overdue(self) -> None:
        """Close the connections whose requests are overdue."""
        with self._lock:
            now = self._clock()
            overdue = [each for each in self._awaited if now >= self._standing[each].due]
            self._awaited.difference_update(overdue)
        for connection in overdue:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
