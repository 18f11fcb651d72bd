import asyncio
import contextlib
import gzip
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from trainer.serving import predict
from trainer.serving.http.body import BodyReader, ClientDisconnectedError, decompress
from trainer.serving.http.endpoint import RequestContext
from trainer.serving.http.errors import HTTPError
from trainer.serving.predict import LARGE, Predictor

END = {"type": "http.disconnect"}


def receiving(*parts: bytes, end: dict | None = None):
    messages = [{"type": "http.request", "body": p, "more_body": True} for p in parts]
    messages.append(end or {"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    return receive


def read(
    body_reader: BodyReader, *parts: bytes, length: str | None = None, end: dict | None = None
):
    headers = {} if length is None else {"content-length": length}
    return asyncio.run(body_reader.read(receiving(*parts, end=end), headers))


def test_parts_are_joined():
    assert read(BodyReader(10), b"abc", b"def") == b"abcdef"
    assert read(BodyReader(10)) == b""


@pytest.mark.parametrize(
    ("parts", "length"), [((b"a" * 11,), None), ((b"a" * 6, b"b" * 6), None), ((), "11")]
)
def test_a_body_over_the_limit_is_413_and_the_connection_ends(parts, length):
    with pytest.raises(HTTPError) as caught:
        read(BodyReader(10), *parts, length=length)
    assert (caught.value.status, caught.value.headers) == (413, {"connection": "close"})


@pytest.mark.parametrize("headers", [{}, {"content-length": "99"}])
def test_a_body_over_the_limit_is_read_to_its_end_so_that_the_answer_arrives(headers):
    receive = receiving(*[b"a" * 9] * 11)
    with pytest.raises(HTTPError):
        asyncio.run(BodyReader(10).read(receive, headers))
    with pytest.raises(IndexError):
        asyncio.run(receive())


def test_a_client_that_asks_first_is_refused_before_it_sends():
    receive = receiving(b"a" * 99)
    with pytest.raises(HTTPError):
        asyncio.run(
            BodyReader(10).read(receive, {"content-length": "99", "expect": "100-continue"})
        )
    assert asyncio.run(receive())["body"]


def test_a_body_without_an_end_is_given_up():
    async def receive():
        return {"type": "http.request", "body": b"a" * 100, "more_body": True}

    with pytest.raises(HTTPError):
        asyncio.run(asyncio.wait_for(BodyReader(10, discard_limit=1000).read(receive, {}), 30))


def test_all_bodies_together_have_a_limit_too():
    body_reader = BodyReader(10)
    for _ in range(4):
        read(body_reader, b"a" * 10)
    with pytest.raises(HTTPError) as caught:
        read(body_reader, b"a" * 5)
    assert caught.value.status == 503
    body_reader.release(10)
    read(body_reader, b"a" * 10)


def test_small_bodies_are_taken_while_large_ones_hold_all_the_room():
    body_reader = BodyReader(1000)
    for _ in range(4):
        read(body_reader, b"a" * 1000)
    for _ in range(100):
        assert read(body_reader, b"a" * 5, b"b" * 5) == b"aaaaabbbbb"
    for refused in (b"a" * 11, b"a" * 10):
        with pytest.raises(HTTPError):
            read(body_reader, refused)


def test_a_refused_body_is_not_held():
    body_reader = BodyReader(10)
    for _ in range(20):
        with pytest.raises(HTTPError):
            read(body_reader, b"a" * 6, b"a" * 6)
    read(body_reader, b"a" * 10)


@pytest.mark.parametrize("parts", [(), (b"ab",), (b"ab", b"cd")])
def test_a_client_that_hangs_up_is_told_apart(parts):
    body_reader = BodyReader(10)
    for _ in range(30):
        with pytest.raises(ClientDisconnectedError):
            read(body_reader, *parts, end=END)


def test_gzip_is_unpacked_up_to_the_limit():
    assert decompress(gzip.compress(b"hello"), "gzip", 5) == b"hello"
    assert decompress(b"hello", "identity", 5) == b"hello"
    with pytest.raises(HTTPError, match="too large unpacked") as caught:
        decompress(gzip.compress(bytes(10**6)), "gzip", 1000)
    assert caught.value.status == 413


def test_gzip_of_several_parts_is_unpacked_to_its_end():
    packed = gzip.compress(b"one\n") + gzip.compress(b"two\n")
    assert decompress(packed, "gzip", 8) == b"one\ntwo\n"
    with pytest.raises(HTTPError, match="too large unpacked"):
        decompress(packed, "gzip", 7)
    with pytest.raises(HTTPError, match="ends too early"):
        decompress(packed[:-1], "gzip", 8)
    with pytest.raises(HTTPError, match="is not gzipped"):
        decompress(packed[:-8] + bytes(8), "gzip", 8)


def packed_body(predictor: Predictor, packed: bytes):
    """A packed body of a request, as an endpoint gets it."""
    headers = [(b"content-encoding", b"gzip")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    version: Any = SimpleNamespace(batcher=SimpleNamespace(full=False))
    return predictor.body(RequestContext(Request(scope, receiving(packed))), version)


def test_what_is_unpacked_counts_among_what_is_held():
    async def main():
        predictor, packed = Predictor(1000), gzip.compress(bytes(1000))
        for _ in range(2):
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(3):
                    held = packed_body(predictor, packed)
                    assert await stack.enter_async_context(held) == bytes(1000)
                with pytest.raises(HTTPError, match="too many large requests") as caught:
                    await stack.enter_async_context(packed_body(predictor, packed))
                assert (caught.value.status, "connection" in caught.value.headers) == (503, False)

    asyncio.run(main())


def test_what_may_become_large_is_not_unpacked_where_others_wait(monkeypatch):
    threads: list[str] = []

    def spy(*args):
        threads.append(threading.current_thread().name)
        return decompress(*args)

    async def main():
        predictor = Predictor(2 * LARGE)
        for size in (100, LARGE):
            packed = gzip.compress(bytes(size))
            async with packed_body(predictor, packed) as plain:
                assert len(plain) == size

    monkeypatch.setattr(predict, "decompress", spy)
    asyncio.run(main())
    assert [name.startswith("formats") for name in threads] == [False, True]


@pytest.mark.parametrize(
    ("packed", "encoding", "status"),
    [
        (b"plain", "gzip", 400),
        (gzip.compress(b"hello", mtime=0)[:-4], "gzip", 400),
        (b"x", "br", 415),
        (b"", "gzip", 400),
    ],
)
def test_what_is_not_packed_so_is_refused(packed, encoding, status):
    with pytest.raises(HTTPError) as caught:
        decompress(packed, encoding, 1000)
    assert caught.value.status == status
