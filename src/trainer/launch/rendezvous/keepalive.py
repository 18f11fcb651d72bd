"""Keepalive connection between two hosts: idle, so that their kernels say whether both are there.

A launcher starved of CPU stops sending heartbeats although its host is alive, so heartbeats alone
would report false losses. Its kernel still acknowledges TCP's probes, and it closes the connections
of a process that dies. Probes without an acknowledgement, on the other hand, mean that the host is
gone, or the network to it.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable

from trainer.launch.rendezvous.requests import OpenKeepalive, Sender
from trainer.launch.rendezvous.signing import HEADER, Signer
from trainer.launch.timeouts import DEFAULTS, Timeouts

# The kernel sends a probe each second, and after three without an acknowledgement the connection is
# broken: sooner than a host without heartbeats counts as lost (`Timeouts.lost_after`).
_IDLE, _INTERVAL, _PROBES = 1, 1, 3
_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES),
    # The same where data is under way, as then no probes are sent.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * (_IDLE + _INTERVAL * _PROBES)),
)


class Keepalive:
    """This host's end of the connection.

    Args:
        address: The address of the coordinator's host.
        port: The coordinator's port.
        sender: The launcher that opens it.
        signer: Signs with the job's secret, if it has one.
        timeouts: How long an attempt to connect may take.
    """

    def __init__(
        self,
        address: str,
        port: int,
        sender: Sender,
        signer: Signer | None = None,
        timeouts: Timeouts = DEFAULTS,
    ) -> None:
        self._socket: socket.socket | None = None
        verb, fields = OpenKeepalive.verb, sender.to_dict()
        body, signature = signer.sign(verb, fields) if signer else (json.dumps(fields).encode(), "")
        signed = f"{HEADER}: {signature}\r\n" if signature else ""
        head = f"POST /job/{verb} HTTP/1.0\r\nContent-Length: {len(body)}\r\n{signed}\r\n"
        # Without the connection, a coordinator that is silent counts as gone.
        with contextlib.suppress(OSError):
            self._socket = socket.create_connection((address, port), timeout=timeouts.request)
            _send_probes(self._socket)
            self._socket.sendall(head.encode() + body)
            self._socket.setblocking(False)

    @property
    def is_open(self) -> bool:
        """True if the other end is there."""
        connection = self._socket
        if connection is None:
            return False
        # The other end never writes: what can be read is its end, or a refusal.
        with contextlib.suppress(OSError):
            try:
                connection.recv(1)
            except BlockingIOError:
                return True
        self.close()
        return False

    def close(self) -> None:
        """End the connection."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()


def wait_for_close(
    connection: socket.socket, *, ended: Callable[[], bool], poll: float = DEFAULTS.keepalive_poll
) -> None:
    """Wait at the coordinator's end until a connection is broken.

    Args:
        connection: The connection from another host.
        ended: Returns whether the coordinator's launcher has ended.
        poll: Seconds between two calls of `ended`.
    """
    with contextlib.suppress(OSError):
        _send_probes(connection)
        connection.settimeout(poll)
        while not ended():
            try:
                if not connection.recv(1):
                    return
            except TimeoutError as error:
                # The kernel's, for probes without an acknowledgement, has a number; Python's has
                # none.
                if error.errno is not None:
                    return


def _send_probes(connection: socket.socket) -> None:
    for level, option, value in _OPTIONS:
        connection.setsockopt(level, option, value)


# Opens the connection to the coordinator's host, in the name of a launcher.
OpenConnection = Callable[[Sender], Keepalive]
