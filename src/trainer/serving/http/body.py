"""A request's body: read up to a limit, and unpacked up to the same."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from trainer.serving.http.errors import HTTPError, bad_request, overloaded, shown

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

CLOSE = {"connection": "close"}
# Of the largest bodies, how many may be in memory at a time.
LARGEST = 4
# The part of the largest that is small: there is always room for a hundred of these.
SMALL = 100
# Of a body that is too large, what is read all the same: a client that is still sending when the
# connection ends may never see the answer.
DISCARDED = 2**26  # bytes


class GoneError(Exception):
    """The client hung up before it had sent all."""


class BodyReader:
    """Reads bodies, and knows how much of them there is at the moment.

    Args:
        limit: Bytes of one body.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    async def read(self, receive: Receive, headers: Mapping[str, str]) -> bytes:
        """Read a body; `release` is to be called with its size when it is no longer needed.

        Args:
            receive: ASGI's.
            headers: Of the request, with names in lower case.

        Raises:
            HTTPError: It is larger than one may be, or than all together may be.
            GoneError: The client hung up.
        """
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._limit:
            # A client that asks first has not sent anything yet.
            if "expect" not in headers:
                await _discard(receive)
            raise self._too_large()
        message = await receive()
        first: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message.get("more_body"):
            self._take(len(first), 0)
            return first
        # Its value is what was written, not a copy, for which all others would wait.
        parts, size = io.BytesIO(), 0
        try:
            self._take(len(first), size)
            size += len(first)
            parts.write(first)
            while message.get("more_body"):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise GoneError
                part = message.get("body", b"")
                self._take(len(part), size)
                size += len(part)
                parts.write(part)
            if message["type"] == "http.disconnect":
                raise GoneError
        except HTTPError:
            self.release(size)
            await _discard(receive, message)
            raise
        except BaseException:
            self.release(size)
            raise
        return parts.getvalue()

    def release(self, size: int) -> None:
        """Forget a body of this size."""
        self._held -= size

    def hold(self, size: int, *, small: bool = False) -> None:
        """Count what a body has become, until `release` is called for it.

        Args:
            size: Bytes.
            small: Whether it may have the room that is kept for small ones.

        Raises:
            HTTPError: All together are too large.
        """
        if self._held + size > (LARGEST + small) * self._limit:
            raise overloaded("too many large requests at a time; try again")
        self._held += size

    def _take(self, more: int, size: int) -> None:
        if size + more > self._limit:
            raise self._too_large()
        try:
            # While a few large ones arrive slowly, small ones are answered.
            self.hold(more, small=size + more <= self._limit // SMALL)
        except HTTPError as error:
            error.headers |= CLOSE
            raise

    def _too_large(self) -> HTTPError:
        # What is still to come of it is not read.
        return HTTPError(
            413, f"the body is too large; expected at most {self._limit / 2**20:g} MiB", CLOSE
        )


async def _discard(receive: Receive, message: Mapping[str, Any] | None = None) -> None:
    """Read what is still to come of a body, as long as that is not too much."""
    seen = 0
    while (message is None or message.get("more_body")) and seen < DISCARDED:
        message = await receive()
        seen += len(message.get("body", b""))


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """A body without its Content-Encoding.

    Raises:
        HTTPError: The encoding is unknown, the body is not in it, or is too large without it.
    """
    if encoding in ("", "identity"):
        return body
    if encoding.lower() not in ("gzip", "x-gzip"):
        raise HTTPError(415, f"Content-Encoding: {shown(encoding)}: expected gzip, or none")
    try:
        # Of as many parts as there are: what is packed piece by piece is valid gzip too.
        plain = gzip.GzipFile(fileobj=io.BytesIO(body)).read(limit + 1)
    except EOFError:
        raise bad_request("Content-Encoding: gzip, but the body ends too early") from None
    except (OSError, zlib.error):
        raise bad_request("Content-Encoding: gzip, but the body is not gzipped") from None
    if not body:
        raise bad_request("Content-Encoding: gzip, but the body is empty")
    if len(plain) > limit:
        raise HTTPError(
            413, f"the body is too large unpacked; expected at most {limit / 2**20:g} MiB"
        )
    return plain
