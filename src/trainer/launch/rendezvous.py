"""The small HTTP server on the chief's host where all others find it.

Two things on one port: the roster of hosts (POST of JSON to `/job/VERB`), and the key-value store
that Horovod's ranks read and write as they connect: PUT, GET and DELETE of `/scope/key`, 404 for
what is not there (`horovod/common/gloo/http_store.cc`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from trainer.errors import UserError
from trainer.launch.lifeline import hold
from trainer.launch.origin import Origin
from trainer.launch.roster import Roster

# Horovod's values are addresses, ours a page of text.
LARGEST = 1 << 20
# Of all values together: some kilobytes for each pair of ranks.
_ROOM = 256 << 20
# Seconds for a client to send what it announced.
_PATIENCE = 10.0
_TICK = 0.25


class Store:
    """Values by scope and key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, bytes] = {}
        self._size = 0

    def get(self, name: str) -> bytes | None:
        """The value, or None."""
        with self._lock:
            return self._values.get(name)

    def put(self, name: str, value: bytes) -> bool:
        """Keep a value; False if there is no room for it."""
        with self._lock:
            size = self._size - self._size_of(name) + len(name) + len(value)
            if size > _ROOM:
                return False
            self._values[name], self._size = value, size
            return True

    def delete(self, name: str) -> None:
        """Forget a value: its rank has connected to all others."""
        with self._lock:
            self._size -= self._size_of(name)
            self._values.pop(name, None)

    def _size_of(self, name: str) -> int:
        return len(name) + len(self._values[name]) if name in self._values else 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # All ranks come at once.
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], roster: Roster) -> None:
        self.store = Store()
        self.roster = roster
        self.ended = threading.Event()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking the name service what this host is called, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news of ours: the roster sees who is lost."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE

    def do_GET(self) -> None:
        """Read a value of Horovod's."""
        value = self.server.store.get(self.path) if self._is_key() else None
        self._answer(404 if value is None else 200, value or b"")

    def do_PUT(self) -> None:
        """Write a value of Horovod's."""
        body = self._body()
        if body is None:
            return
        if not self._is_key():
            self._answer(400)
        else:
            self._answer(200 if self.server.store.put(self.path, body) else 507)

    def do_DELETE(self) -> None:
        """Forget a value of Horovod's."""
        if self._is_key():
            self.server.store.delete(self.path)
        self._answer(200)

    def do_POST(self) -> None:
        """Answer a launcher."""
        body = self._body()
        if body is None:
            return
        roster, verb = self.server.roster, self.path.removeprefix("/job/")
        try:
            told = json.loads(body)
            answer = roster.handle(verb, told, Origin.of(self.connection))
            known = "unknown" not in answer
        except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
            self._answer(400, f"{type(error).__name__}\n".encode())
            return
        if verb == "line" and known:
            hold(self.connection, ended=self.server.ended.is_set)
            roster.line_broke(told["member"], told["run"])
            return
        try:
            self._answer(200, json.dumps(answer).encode())
        finally:
            # Gone it is, even if it did not wait for the answer.
            if verb == "leave" and known:
                roster.left(told["member"], told["run"])

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: there are some each second."""

    def _is_key(self) -> bool:
        return self.path.count("/") == 2 and not self.path.startswith("/job/")

    def _body(self) -> bytes | None:
        """What the client sends; None if that was refused."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._answer(411)
        elif int(length) > LARGEST:
            self._answer(413)
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                return body
            self._answer(400)
        return None

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving(roster: Roster, *, host: str, port: int) -> Iterator[int]:
    """Serve while a block runs.

    Args:
        roster: Who answers `/job/`.
        host: The address to listen at; empty for all of this host.
        port: The port, 0 for any free one.

    Yields:
        The port.

    Raises:
        UserError: It cannot listen there.
    """
    try:
        server = _Server((host, port), roster)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            why = "another program listens there"
        raise UserError(
            f"--port {port}: the hosts cannot meet there: {why}; choose another port, the same on "
            "all hosts"
        ) from None
    ended = server.ended
    threads = [
        threading.Thread(target=server.serve_forever, args=(0.05,), name="rendezvous", daemon=True),
        threading.Thread(target=_ticking, args=(roster.tick, ended), name="roster", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield server.server_address[1]
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join(timeout=5)


def _ticking(tick: Callable[[], None], ended: threading.Event) -> None:
    while not ended.wait(_TICK):
        tick()
