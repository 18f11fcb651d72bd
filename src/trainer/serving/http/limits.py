"""Limits of clients' connections."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Limits of what clients may take of the server by their connections.

    Attributes:
        connections: Connections at a time, of all clients.
        header_seconds: For a whole header, from its first byte.
        stalled_seconds: For a client that reads nothing of its response.
        linger_seconds: After an error, until the connection is closed: a client that is still
            sending then might never see the response.
        stale_seconds: A body of which nothing has come for so long may be given up to make room.
    """

    connections: int
    header_seconds: float
    stalled_seconds: float
    linger_seconds: float = 2.0
    stale_seconds: float = 1.0
