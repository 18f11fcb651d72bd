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
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import IO, Any

from trainer.config import UserError
from trainer.launch.rendezvous.connections import PATIENCE, Connections
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.keepalive import wait_for_close
from trainer.launch.rendezvous.kv_store import KeyValueStore
from trainer.launch.rendezvous.signing import HEADER, Checker

# Horovod's values are addresses, ours a page of text.
LARGEST = 1 << 20
# What a launcher asks: the longest is to join, with what its host states of the job.
_LARGEST_REQUEST = 256 << 10
# The first line and all headers of a request.
_LARGEST_HEAD = 16 << 10
_TICK = 0.25

# Signs the status and body of an answer.
Sign = Callable[[int, bytes], str]


class _RendezvousServer(ThreadingHTTPServer):
    daemon_threads = True
    # All ranks come at once.
    request_queue_size = 1024

    def __init__(
        self,
        address: tuple[str, int],
        roster: Coordinator,
        *,
        store: KeyValueStore,
        checker: Checker | None,
        patience: float,
    ) -> None:
        self.store = store
        self.roster = roster
        self.checker = checker
        self.connections = Connections(roster.has_joined_from, patience=patience)
        self.ended = threading.Event()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking the name service what this host is called, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Return whether there is room for another connection from there."""
        return self.connections.accept(request)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self.connections.end(request)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off clients that send nothing, now and then."""
        self.connections.cut_slow()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news of ours: the roster sees who is lost."""


class _Handler(BaseHTTPRequestHandler):
    server: _RendezvousServer
    timeout = PATIENCE

    def setup(self) -> None:
        """Prepare to read a request whose head has a bound."""
        super().setup()
        self.rfile: Any = _Head(self.rfile, room=_LARGEST_HEAD)
        self.origin = self.server.connections.origin(self.connection)

    def do_GET(self) -> None:
        """Read a value of Horovod's."""
        self.server.connections.received(self.connection)
        value = self.server.store.get(self.path) if self._is_trusted() else None
        self._answer(404 if value is None else 200, value or b"")

    def do_PUT(self) -> None:
        """Write a value of Horovod's."""
        trusted = self._is_trusted()
        if not trusted and not self.server.store.is_closed:
            self.server.roster.refused_rank(self.origin)
        body = self._body(LARGEST if trusted else _LARGEST_REQUEST)
        if body is not None:
            self._answer(self.server.store.put(self.path, body) if trusted else 403)

    def do_DELETE(self) -> None:
        """Forget a value of Horovod's."""
        self.server.connections.received(self.connection)
        if self._is_trusted():
            self.server.store.delete(self.path)
        self._answer(200)

    def do_POST(self) -> None:
        """Answer a launcher."""
        body = self._body(_LARGEST_REQUEST)
        if body is None:
            return
        roster, checker = self.server.roster, self.server.checker
        verb, signature = self.path.removeprefix("/job/"), self.headers.get(HEADER, "")
        if checker and not checker.is_signed(verb, body, signature):
            self._answer(401, json.dumps({"challenge": checker.challenge}).encode())
            return
        if signature and not checker:
            # From a host that takes no answer that is not signed.
            self._answer(400)
            return
        sign = partial(checker.sign, signature) if checker else None
        try:
            told = json.loads(body)
            if checker:
                checker.use(told)
            answer = roster.handle(verb, told, self.origin)
            known = "unknown" not in answer
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self._answer(400, f"{type(error).__name__}\n".encode(), sign=sign)
            return
        if verb == "line" and known:
            wait_for_close(self.connection, ended=self.server.ended.is_set)
            roster.line_broke(told["member"], told["run"])
            return
        try:
            self._answer(200, json.dumps(answer).encode(), sign=sign)
        finally:
            # Gone it is, even if it did not wait for the answer.
            if verb == "leave" and known:
                roster.left(told["member"], told["run"])

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: there are some each second."""

    def _is_trusted(self) -> bool:
        # Horovod's client cannot sign what it sends; where it comes from is all that is known.
        return self.server.connections.trusts(self.origin)

    def _body(self, largest: int) -> bytes | None:
        """What the client sends; None if that was refused."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 20):
            self._answer(411)
        elif int(length) > largest:
            self._answer(413)
        else:
            body = self.rfile.read(int(length))
            self.server.connections.received(self.connection)
            if len(body) == int(length):
                return body
            self._answer(400)
        return None

    def _answer(self, status: int, body: bytes = b"", *, sign: Sign | None = None) -> None:
        self.send_response_only(status)
        if sign:
            self.send_header(HEADER, sign(status, body))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Head:
    """A file from which only so many bytes can be read in lines."""

    def __init__(self, file: IO[bytes], *, room: int) -> None:
        self._file = file
        self._room = room

    def readline(self, size: int = -1) -> bytes:
        line = self._file.readline(self._room + 1 if size < 0 else min(size, self._room + 1))
        self._room -= len(line)
        if self._room < 0:
            raise OSError("the head of a request is too long")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextlib.contextmanager
def serving(
    roster: Coordinator,
    *,
    host: str,
    port: int,
    store: KeyValueStore | None = None,
    secret: str | None = None,
    patience: float = PATIENCE,
) -> Iterator[int]:
    """Serve while a block runs.

    Args:
        roster: Who answers `/job/`.
        host: The address to listen at; empty for all of this host.
        port: The port, 0 for any free one.
        store: What Horovod's ranks read and write; by default one that takes nothing.
        secret: By which launchers sign what they ask; None if they do not.
        patience: Seconds for a client to send its request.

    Yields:
        The port.

    Raises:
        UserError: It cannot listen there.
    """
    try:
        server = _RendezvousServer(
            (host, port), roster, store=store or KeyValueStore(), patience=patience,
            checker=Checker(secret) if secret else None,
        )  # fmt: skip
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            why = "another program listens there"
        raise UserError(
            subject=f"--port {port}",
            problem=f"the hosts cannot meet there: {why}",
            remedy="choose another port, the same on all hosts",
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
