"""An idle connection between two hosts, by which their kernels tell that both are there.

A launcher that gets no processor answers nobody, be it for ten seconds on a host whose processes
poll for each other; it is not gone. Its kernel still answers TCP's probes, and it closes what a
process leaves open that dies. Probes without an answer, on the other hand, mean that the host is
gone, or the network to it.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

from trainer.launch.rendezvous.signing import HEADER, Signer

# A probe each second, and after three without an answer the connection is broken: sooner than a
# host without sign of life counts as lost (`roster.LOST`).
_IDLE, _INTERVAL, _PROBES = 1, 1, 3
_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES),
    # The same where something is under way, as then no probes are sent.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * (_IDLE + _INTERVAL * _PROBES)),
)
# For the connection to be made.
_ATTEMPT = 2.0
# How often the other end looks whether it is to close.
_LOOK = 0.5


class Keepalive:
    """This host's end.

    Args:
        address: The chief's.
        port: There.
        told: Who we are, as in all requests to the roster.
        signer: Of the job's secret, if it has one.
    """

    def __init__(
        self, address: str, port: int, told: Mapping[str, Any], signer: Signer | None = None
    ) -> None:
        self._socket: socket.socket | None = None
        body, signature = signer.sign("line", told) if signer else (json.dumps(told).encode(), "")
        signed = f"{HEADER}: {signature}\r\n" if signature else ""
        head = f"POST /job/line HTTP/1.0\r\nContent-Length: {len(body)}\r\n{signed}\r\n".encode()
        # Without it, silence is what it was: a host that is gone.
        with contextlib.suppress(OSError):
            self._socket = socket.create_connection((address, port), timeout=_ATTEMPT)
            _probe(self._socket)
            self._socket.sendall(head + body)
            self._socket.setblocking(False)

    @property
    def up(self) -> bool:
        """Whether the other end is there."""
        line = self._socket
        if line is None:
            return False
        # What can be read is the end, or a refusal.
        with contextlib.suppress(OSError):
            try:
                line.recv(1)
            except BlockingIOError:
                return True
        self.close()
        return False

    def close(self) -> None:
        """End the connection."""
        line, self._socket = self._socket, None
        if line is not None:
            line.close()


def wait_for_close(connection: socket.socket, *, ended: Callable[[], bool]) -> None:
    """Return when a connection is broken, at the chief's end of it.

    Args:
        connection: From another host.
        ended: Whether the chief's launcher has ended.
    """
    with contextlib.suppress(OSError):
        _probe(connection)
        connection.settimeout(_LOOK)
        while not ended():
            try:
                if not connection.recv(1):
                    return
            except TimeoutError as error:
                # The kernel's, for probes without an answer, has a number; Python's own has none.
                if error.errno is not None:
                    return


def _probe(connection: socket.socket) -> None:
    for level, option, value in _OPTIONS:
        connection.setsockopt(level, option, value)
