"""HTTP server on the chief's host: the one port that all hosts must reach.

It serves the coordinator (POST of JSON to `/job/VERB`) and the key-value store that Horovod's ranks
read and write as they connect: PUT, GET and DELETE of `/scope/key`, 404 for what is not there
(`horovod/common/gloo/http_store.cc`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import IO, Any

from trainer.config import UserError
from trainer.launch.rendezvous.connections import Connections
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.keepalive import wait_for_close
from trainer.launch.rendezvous.kv_store import KeyValueStore
from trainer.launch.rendezvous.requests import Leave, OpenKeepalive, Sender
from trainer.launch.rendezvous.responses import UnknownRun
from trainer.launch.rendezvous.signing import HEADER, Checker
from trainer.launch.timeouts import DEFAULTS, Timeouts

logger = logging.getLogger(__name__)

# Bytes of a value of Horovod's, which is a list of addresses, or of a response, a page of text.
LARGEST = 1 << 20
# Bytes of a launcher's request: the longest is to join, with what its host states of the job.
_LARGEST_REQUEST = 256 << 10
# Bytes of the first line and all headers of a request.
_LARGEST_HEAD = 16 << 10

# Signs the status and body of a response.
Sign = Callable[[int, bytes], str]


class _RendezvousServer(ThreadingHTTPServer):
    daemon_threads = True
    # All ranks come at once.
    request_queue_size = 1024

    def __init__(
        self,
        address: tuple[str, int],
        coordinator: Coordinator,
        *,
        store: KeyValueStore,
        checker: Checker | None,
        timeouts: Timeouts,
    ) -> None:
        self.store = store
        self.coordinator = coordinator
        self.checker = checker
        self.timeouts = timeouts
        self.connections = Connections(
            coordinator.has_joined_from, read_timeout=timeouts.request_read
        )
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
        self.connections.close_overdue()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that go away: the coordinator finds out by itself which host is lost."""
        error = sys.exc_info()[0]
        logger.debug("a connection was cut off: %s", error and error.__name__)


class _Handler(BaseHTTPRequestHandler):
    server: _RendezvousServer

    def setup(self) -> None:
        """Prepare to read a request whose head has a bound."""
        super().setup()
        self.connection.settimeout(self.server.timeouts.request_read)
        self.rfile: Any = _BoundedHead(self.rfile, room=_LARGEST_HEAD)
        self.origin = self.server.connections.origin(self.connection)

    def do_GET(self) -> None:
        """Read a value of Horovod's."""
        self.server.connections.received(self.connection)
        value = self.server.store.get(self.path) if self._is_trusted() else None
        self._respond(404 if value is None else 200, value or b"")

    def do_PUT(self) -> None:
        """Write a value of Horovod's."""
        trusted = self._is_trusted()
        if not trusted and not self.server.store.is_closed:
            self.server.coordinator.refuse_rank(self.origin)
        body = self._body(LARGEST if trusted else _LARGEST_REQUEST)
        if body is not None:
            self._respond(self.server.store.put(self.path, body) if trusted else 403)

    def do_DELETE(self) -> None:
        """Forget a value of Horovod's."""
        self.server.connections.received(self.connection)
        if self._is_trusted():
            self.server.store.delete(self.path)
        self._respond(200)

    def do_POST(self) -> None:
        """Respond to a launcher."""
        body = self._body(_LARGEST_REQUEST)
        if body is None:
            return
        coordinator, checker = self.server.coordinator, self.server.checker
        verb, signature = self.path.removeprefix("/job/"), self.headers.get(HEADER, "")
        if checker and not checker.is_signed(verb, body, signature):
            self._respond(401, json.dumps({"challenge": checker.challenge}).encode())
            return
        if signature and not checker:
            # This host has the secret and would believe no response without a signature.
            self._respond(400)
            return
        sign = partial(checker.sign, signature) if checker else None
        try:
            fields = json.loads(body)
            if checker:
                checker.use(fields)
            response = coordinator.handle(verb, fields, self.origin)
            sender, known = Sender.from_dict(fields), not UnknownRun.matches(response)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self._respond(400, f"{type(error).__name__}\n".encode(), sign=sign)
            return
        if verb == OpenKeepalive.verb and known:
            poll = self.server.timeouts.keepalive_poll
            wait_for_close(self.connection, ended=self.server.ended.is_set, poll=poll)
            coordinator.connection_closed(sender)
            return
        try:
            self._respond(200, json.dumps(response).encode(), sign=sign)
        finally:
            # The host has left, even if it did not wait for the response.
            if verb == Leave.verb and known:
                coordinator.left(sender)

    def log_message(self, format: str, *args: Any) -> None:
        """Leave out the standard library's line a request: the coordinator logs those it takes."""

    def _is_trusted(self) -> bool:
        # Horovod's client cannot sign what it sends; where it comes from is all that is known.
        return self.server.connections.trusts(self.origin)

    def _body(self, largest: int) -> bytes | None:
        """Return what the client sends; None if that was refused."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 20):
            self._respond(411)
        elif int(length) > largest:
            self._respond(413)
        else:
            body = self.rfile.read(int(length))
            self.server.connections.received(self.connection)
            if len(body) == int(length):
                return body
            self._respond(400)
        return None

    def _respond(self, status: int, body: bytes = b"", *, sign: Sign | None = None) -> None:
        self.send_response_only(status)
        if sign:
            self.send_header(HEADER, sign(status, body))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _BoundedHead:
    """File from which no more than some bytes can be read in lines.

    Args:
        file: The file to read from.
        room: How many bytes its lines may have together.
    """

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
def serving_coordinator(
    coordinator: Coordinator,
    *,
    host: str,
    port: int,
    store: KeyValueStore | None = None,
    secret: str | None = None,
    timeouts: Timeouts = DEFAULTS,
) -> Iterator[int]:
    """Serve while a block runs.

    Args:
        coordinator: Responds to the requests below `/job/`.
        host: The address to listen at; empty for all of this host.
        port: The port, 0 for any free one.
        store: What Horovod's ranks read and write; by default one that takes nothing.
        secret: The secret by which launchers sign their requests; None if they do not.
        timeouts: How long a client may take to send its request, and how often to look at clocks.

    Yields:
        The port.

    Raises:
        UserError: It cannot listen there.
    """
    try:
        server = _RendezvousServer(
            (host, port), coordinator, store=store or KeyValueStore(), timeouts=timeouts,
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
        threading.Thread(
            target=_tick, args=(coordinator.tick, ended, timeouts.tick), name="coordinator",
            daemon=True,
        ),
    ]  # fmt: skip
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


def _tick(tick: Callable[[], None], ended: threading.Event, every: float) -> None:
    while not ended.wait(every):
        tick()
