"""Clients that keep to no limit, against a real server in a thread of this process."""

import asyncio
import contextlib
import functools
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from trainer.serving.http.connection import PIPELINED, Connection
from trainer.serving.http.limits import ConnectionLimits

pytestmark = pytest.mark.slow

SECONDS = 60.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"a" * 2**24


class App:
    """Answers with the body's size once `go` is set; /early answers before it reads."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Semaphore(0)
        self.answer = b""

    async def __call__(self, scope, receive, send) -> None:
        self.begun.release()
        size, more = 0, scope["path"] != "/early"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message["body"]), message["more_body"]
        while not self.go.is_set():
            await asyncio.sleep(0.01)
        body = self.answer or b"%d" % size
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Running:
    """A server of an App."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.app = App()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        config = uvicorn.Config(
            self.app, http=functools.partial(Connection, limits=limits), loop="uvloop", ws="none",
            lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1,
            timeout_keep_alive=75,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        run = functools.partial(self.server.run, sockets=[self._listener])
        self._thread = threading.Thread(target=run)
        self._thread.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)

    def ask(self, request: bytes) -> bytes:
        """Send on a connection of its own; all that comes until the server hangs up."""
        with self.connect() as connection:
            return exchange(connection, request)

    def stop(self) -> None:
        self.app.go.set()
        self.server.should_exit = True
        self._thread.join(SECONDS)


def exchange(connection: socket.socket, request: bytes = b"") -> bytes:
    """Send, and read until the end."""
    sender = threading.Thread(target=send, args=(connection, request))
    sender.start()
    found = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(2**16):
            found += more
    sender.join()
    return found


def send(connection: socket.socket, request: bytes) -> None:
    # It may end the connection before all is sent.
    with contextlib.suppress(OSError):
        connection.sendall(request)


@contextlib.contextmanager
def running(*, connections=1000, header_seconds=SECONDS, stalled_seconds=SECONDS):
    limits = ConnectionLimits(
        connections=connections, header_seconds=header_seconds, stalled_seconds=stalled_seconds
    )
    server = Running(limits)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as made:
        yield made


def close(request: bytes) -> bytes:
    return request.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")


@pytest.mark.parametrize(
    "request_",
    [
        GET.replace(b"Host", b"Cookie: " + b"c" * 8000 + b"\r\nHost"),
        GET.replace(b"Host", b"".join(b"X-%d: y\r\n" % i for i in range(150)) + b"Host"),
        GET.replace(b"GET /", b"GET /" + b"q" * 8000),
        b"\r\n\r\n" + GET,
    ],
    ids=["cookie", "fields", "path", "empty lines"],
)
def test_a_header_as_real_clients_send_it_is_answered(server, request_):
    assert server.ask(close(request_)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nX: " + LARGE,
        b"GET / HTTP/1.1\r\n" + LARGE,
        b"GET /" + LARGE,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"\r\n" * 2**20,
    ],
    ids=["value", "name", "path", "fields", "300 fields", "whole", "empty lines"],
)
def test_a_header_that_is_too_large_is_431(server, request_):
    reply = server.ask(request_)
    assert reply.startswith(b"HTTP/1.1 431 "), reply[:200]
    assert b"\r\nconnection: close\r\n" in reply
    assert b'{"error":"the header is larger than 64 KiB' in reply
    assert server.ask(close(GET)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_",
    [
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET x: HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"no HTTP at all",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
    ],
)
@pytest.mark.parametrize("before", [b"", GET])
def test_what_is_no_http_is_400_and_spoils_nothing_before_it(server, request_, before):
    reply = server.ask(before + request_)
    answers = [part[:3] for part in reply.split(b"HTTP/1.1 ")[1:]]
    assert answers[: len(before) and 1] == ([b"200"] if before else [])
    assert answers[len(answers) - 1] in (b"400", b"200"), reply
    assert before or b'{"error":"Invalid HTTP request received."}' in reply


POST = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"1\r\nx\r\n0\r\n" + b"X: " + LARGE,
        b"1\r\nx\r\n0\r\n" + b"X: y\r\n" * 10**6,
        b"1;" + LARGE,
        b"1;name=" + b"v" * 1000 + b"\r\nx\r\n" + (b"1;name=" + b"v" * 1000 + b"\r\nx\r\n") * 1000,
    ],
    ids=["trailer", "trailers", "extension", "extensions"],
)
def test_what_is_sent_beside_a_chunked_body_has_a_limit(server, body):
    reply = server.ask(POST + body)
    assert reply.split(b" ")[1] in (b"400", b"431"), reply[:200]


def test_a_body_in_the_smallest_chunks_is_read(server):
    reply = server.ask(close(POST) + b"1\r\nx\r\n" * 100_000 + b"0\r\nX: y\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 200")
    assert reply.endswith(b"100000")


@pytest.mark.parametrize(
    ("begin", "status"),
    [(b"GET / HTTP/1.1\r\nX", b"408"), (b"GET /", b"408"), (b"\r\n", b"408")],
)
def test_a_header_that_does_not_end_is_408(begin, status):
    with running(header_seconds=0.2) as server:
        assert server.ask(begin).split(b" ")[1] == status
        # Also where one was answered on the connection before, and where some comes now and then.
        with server.connect() as connection:
            connection.sendall(GET + b"GET /")
            assert exchange(connection).count(b"HTTP/1.1 ") == 2
        with server.connect() as connection:
            connection.settimeout(0.05)
            reply, until = b"", time.monotonic() + SECONDS
            send(connection, begin)
            while not reply and time.monotonic() < until:
                send(connection, b"a" if begin != b"\r\n" else b"\r\n")
                with contextlib.suppress(TimeoutError):
                    reply = connection.recv(1000)
            assert reply.split(b" ")[1] == status


def test_a_body_that_is_not_wanted_has_to_end_soon():
    with running(header_seconds=0.2) as server:
        reply = server.ask(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
        assert reply.startswith(b"HTTP/1.1 200")


def test_a_body_may_take_longer_than_a_header():
    with running(header_seconds=0.05) as server, server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 9\r\n\r\n")
        assert server.app.begun.acquire(timeout=SECONDS)
        time.sleep(0.3)
        assert exchange(connection, b"123456789").endswith(b"9")


def test_requests_that_are_sent_ahead_are_answered_in_order_up_to_a_limit(server):
    with server.connect() as connection:
        post = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s"
        request = b"".join(post % (size, b"b" * size) for size in range(PIPELINED))
        reply = exchange(connection, request + close(GET))
        sizes = [part.split(b"\r\n\r\n")[1] for part in reply.split(b"HTTP/1.1 200")[1:]]
        assert [int(size) for size in sizes] == [*range(PIPELINED), 0]
    server.app.go.clear()
    timer = threading.Timer(0.5, server.app.go.set)
    timer.start()
    reply = server.ask(GET * 100_000)
    assert reply.count(b"HTTP/1.1 200") == PIPELINED + 1
    assert reply.count(b"connection: close") == 1


def test_what_is_sent_ahead_is_not_read_while_the_first_is_answered(server):
    server.app.go.clear()
    try:
        with server.connect() as connection:
            connection.sendall(GET)
            connection.settimeout(0.3)
            head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % 2**30
            with pytest.raises(TimeoutError):
                connection.sendall(head + bytes(2**28))
    finally:
        server.app.go.set()


def test_connections_that_wait_make_room_for_others():
    with running(connections=20) as server, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(60)]
        for connection in idle[::2]:
            send(connection, b"GET / HT")
        for _ in range(3):
            assert server.ask(close(GET)).startswith(b"HTTP/1.1 200")
        until = time.monotonic() + SECONDS
        while len(server.server.server_state.connections) > 20 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(server.server.server_state.connections) <= 20


def test_where_all_connections_are_busy_another_is_503():
    with running(connections=5) as server, contextlib.ExitStack() as stack:
        server.app.go.clear()
        busy = [stack.enter_context(server.connect()) for _ in range(5)]
        for connection in busy:
            connection.sendall(close(GET))
            assert server.app.begun.acquire(timeout=SECONDS)
        assert server.ask(b"").startswith(b"HTTP/1.1 503")
        server.app.go.set()
        assert all(exchange(connection).startswith(b"HTTP/1.1 200") for connection in busy)


def test_bodies_that_do_not_come_make_room_for_others():
    with running(connections=8) as server, contextlib.ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(server.connect())
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n1")
            assert server.app.begun.acquire(timeout=SECONDS)
        until = time.monotonic() + SECONDS
        while not (reply := server.ask(close(GET))).startswith(b"HTTP/1.1 200"):
            assert reply[:12] in (b"HTTP/1.1 503", b"")
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_client_that_does_not_read_its_answer_is_given_up():
    with running(stalled_seconds=0.2) as server, server.connect() as connection:
        server.app.answer = bytes(2**27)
        connection.sendall(GET)
        until = time.monotonic() + SECONDS
        while (
            server.server.server_state.connections or server.server.server_state.total_requests < 1
        ):
            assert time.monotonic() < until
            time.sleep(0.02)
        found = exchange(connection)
        assert len(found) < 2**27
