"""Bodies of requests: read and unpacked up to a limit, each and all together."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from trainer.serving.http.errors import HTTPError, bad_request, overloaded, shown_value

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

CLOSE = {"connection": "close"}
# Bodies of the largest size that may be in memory at a time.
LARGEST_AT_A_TIME = 4
# A body is small below this part of the limit. Small bodies have room of their own, so that they
# are answered while a few large ones arrive slowly.
SMALL_PART = 100


class ClientDisconnectedError(Exception):
    """The client hung up before it had sent the whole body."""


class BodyReader:
    """Reads bodies, and bounds what all of them take of memory.

    Args:
        limit: Bytes of one body.
        discard_limit: Bytes that are still read of a body that is too large. A client that is
            still sending when the connection ends may never see the response.
    """

    def __init__(self, limit: int, *, discard_limit: int = 2**26) -> None:
        self._limit = limit
        self._discard_limit = discard_limit
        self._held = 0

    async def read(self, receive: Receive, headers: Mapping[str, str]) -> bytes:
        """Read a body; `release` is to be called with its size when it is no longer needed.

        Args:
            receive: ASGI's.
            headers: Of the request, with names in lower case.

        Raises:
            HTTPError: It is larger than one may be, or than all together may be.
            ClientDisconnectedError: The client hung up.
        """
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._limit:
            # A client that sent `Expect: 100-continue` has not sent anything of the body yet.
            if "expect" not in headers:
                await self._discard(receive)
            raise self._too_large()
        message = await receive()
        first: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message.get("more_body"):
            self._hold_part(len(first), 0)
            return first
        return await self._read_parts(receive, message)

    async def _read_parts(self, receive: Receive, message: MutableMapping[str, Any]) -> bytes:
        """Read a body that comes in several parts, of which the first is here."""
        # Its value is the very bytes that were written; a copy would delay all other requests.
        whole, size = io.BytesIO(), 0
        try:
            while True:
                part = message.get("body", b"")
                self._hold_part(len(part), size)
                size += len(part)
                whole.write(part)
                if message["type"] == "http.disconnect":
                    raise ClientDisconnectedError
                if not message.get("more_body"):
                    return whole.getvalue()
                message = await receive()
        except HTTPError:
            self.release(size)
            await self._discard(receive, message)
            raise
        except BaseException:
            self.release(size)
            raise

    def release(self, size: int) -> None:
        """Give back the room of a body of this size."""
        self._held -= size

    def hold(self, size: int, *, small: bool = False) -> None:
        """Take room for a body, until `release` is called for it.

        Args:
            size: Bytes.
            small: Whether it may take the room that is kept for small bodies.

        Raises:
            HTTPError: All bodies together are too large.
        """
        if self._held + size > (LARGEST_AT_A_TIME + small) * self._limit:
            raise overloaded("too many large requests at a time; try again")
        self._held += size

    def _hold_part(self, more: int, size: int) -> None:
        """Take room for another part of a body of which `size` bytes are held already."""
        if size + more > self._limit:
            raise self._too_large()
        try:
            self.hold(more, small=size + more <= self._limit // SMALL_PART)
        except HTTPError as error:
            error.headers |= CLOSE
            raise

    def _too_large(self) -> HTTPError:
        # The connection ends, as the rest of the body may not have been read.
        return HTTPError(
            413, f"the body is too large; expected at most {self._limit / 2**20:g} MiB", CLOSE
        )

    async def _discard(self, receive: Receive, message: Mapping[str, Any] | None = None) -> None:
        """Read the rest of a body, up to the limit for that."""
        discarded = 0
        while (message is None or message.get("more_body")) and discarded < self._discard_limit:
            message = await receive()
            discarded += len(message.get("body", b""))


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Return a body without its Content-Encoding.

    Args:
        body: As it was sent.
        encoding: The header's value.
        limit: Most bytes of the result.

    Raises:
        HTTPError: The encoding is unknown, the body is not in it, or is too large without it.
    """
    if encoding in ("", "identity"):
        return body
    if encoding.lower() not in ("gzip", "x-gzip"):
        raise HTTPError(415, f"Content-Encoding: {shown_value(encoding)}: expected gzip, or none")
    try:
        # gzip's format allows several members one after the other, which GzipFile reads as one.
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
