"""HTTP connections on which everything before and around a body is bounded, too.

uvicorn's protocol bounds neither the size of a header nor the time that it takes, nor how many
requests a client sends ahead. Each costs memory and work in the loop that answers everybody.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httptools
import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

# nginx, which stands before the model in SageMaker's container, takes half of this.
HEADER_BYTES = 2**16
HEADER_FIELDS = 200
# Requests that are sent before the answer to the first.
PIPELINED = 16
# A body in chunks of one byte takes six: more than that beside a body is none of it.
CHUNKED = 8
# A client that still sends when the connection ends may never see why.
LINGER = 2.0  # seconds
# Of connections that wait for their clients, the part that is closed to make room.
EVICTED = 16
# A body of which nothing has come for so long makes room, too.
STALE = 1.0  # seconds


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """What a client may take.

    Attributes:
        connections: Connections at a time, of all clients.
        header_seconds: For a whole header, from its first byte.
        stalled_seconds: For a client that reads nothing of its answer.
    """

    connections: int
    header_seconds: float
    stalled_seconds: float


class MessagePart(Enum):
    """Where in a message a connection is."""

    BETWEEN, HEADER, BODY = range(3)


# Looked up in the class they would cost each request a microsecond.
_BETWEEN, _HEADER, _BODY = MessagePart


class _LimitError(Exception):
    """A client has gone beyond a limit; the parser ends."""


class _Flow(FlowControl):
    """Reading that stays paused while requests wait that were sent ahead."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """One connection.

    Args:
        limits: See there.
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: uvicorn's.
        _loop: uvicorn's.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._part = _BETWEEN
        # Of the header that is being read: bytes and fields that are whole, bytes that are not.
        self._size = self._fields = self._unfinished = 0
        # Bytes of the body, and of what is between its chunks and behind it.
        self._body = self._beside = 0
        self._turned = False
        self._refusal = (400, "Invalid HTTP request received.")
        self._ended = False
        self._late: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._first: RequestResponseCycle | None = None

    @property
    def waiting(self) -> bool:
        """Whether no request is under way here, though part of a header may have come."""
        return self._running() is None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for one more, and wait for its first request no longer than for others."""
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self._since = self.loop.time()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        if len(self.connections) > self._limits.connections and not self._make_room():
            self._end(503, "too many connections; try again", linger=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what waits for this connection."""
        self._unset_late()
        if self._stalled is not None:
            self._stalled.cancel()
        self._unset_keepalive_if_required()
        self._hang_up()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, as long as it keeps within the limits."""
        if self._ended:
            return
        self._unset_keepalive_if_required()
        self._since = self.loop.time()
        before, body = self._part, self._body
        self._turned = False
        try:
            self.parser.feed_data(data)
            self._count(len(data), before, self._body - body)
        except httptools.HttpParserUpgrade:
            self._unsupported_upgrade_warning()
        except (httptools.HttpParserError, _LimitError):
            self._refuse(*self._refusal)
            return
        self._watch_sending()

    def on_message_begin(self) -> None:
        """See uvicorn."""
        self._part, self._turned = _HEADER, True
        self._size = self._fields = self._unfinished = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """See uvicorn."""
        self._size += len(url)
        if self._size > HEADER_BYTES:
            raise self._too_large()
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the header; those behind a body are passed over."""
        self._size += len(name) + len(value) + 4
        self._fields += 1
        if self._size > HEADER_BYTES or self._fields > HEADER_FIELDS:
            raise self._too_large()
        if self._part is _HEADER:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin a request, or have it wait for those before it."""
        if len(self.pipeline) >= PIPELINED:
            # What has been taken is answered; that this one was not, the last answer says.
            raise self._beyond(503, "too many requests sent ahead")
        super().on_headers_complete()
        self._part, self._turned = _BODY, True
        self._size = self._fields = self._unfinished = self._body = self._beside = 0
        self._flow.held = bool(self.pipeline)

    def on_body(self, body: bytes) -> None:
        """See uvicorn."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See uvicorn."""
        self._part, self._turned = _BETWEEN, True
        self._size = self._fields = self._unfinished = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the request that waits, or wait for one."""
        self._since = self.loop.time()
        # One of them is taken now.
        self._flow.held = len(self.pipeline) > 1
        super().on_response_complete()
        self._watch_sending()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that is not used, be it that its client has not read the answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """Watch a client that does not read its answer."""
        super().pause_writing()
        self._watch_reading(self.transport.get_write_buffer_size())

    @property
    def _flow(self) -> _Flow:
        assert isinstance(self.flow, _Flow)
        return self.flow

    def _count(self, size: int, before: MessagePart, body: int) -> None:
        """Count what has come of no whole field or chunk."""
        if self._turned:
            # Of what began in this piece, the rest is in later ones.
            self._unfinished = 0
        elif self._part is not _BODY:
            self._unfinished += size
            if self._unfinished > HEADER_BYTES:
                raise self._too_large()
        elif before is _BODY:
            self._beside += size - body
            if self._beside > HEADER_BYTES + CHUNKED * self._body:
                raise self._beyond(400, "more between the chunks of a body than in them")

    def _too_large(self) -> _LimitError:
        return self._beyond(
            431, f"the header is larger than {HEADER_BYTES // 1024} KiB, or has more than "
            f"{HEADER_FIELDS} fields"
        )  # fmt: skip

    def _beyond(self, status: int, message: str) -> _LimitError:
        self._refusal = (status, message)
        return _LimitError()

    def _watch_sending(self) -> None:
        """Bound the time of a header, and of the rest of a body that has its answer already."""
        if self._part is _BODY:
            bounded = self._running() is None
        else:
            bounded = self._part is _HEADER or self._unfinished > 0
        if not bounded:
            if self._late is not None:
                self._unset_late()
        elif self._late is None:
            self._late = self.loop.call_later(self._limits.header_seconds, self._too_late)

    def _too_late(self) -> None:
        self._late = None
        if self._part is _BODY:
            self.transport.abort()
            return
        seconds = self._limits.header_seconds
        self._refuse(408, f"the header did not arrive within {seconds:g} s")

    def _refuse(self, status: int, message: str) -> None:
        """End with an error, after the answers to the requests before."""
        self._unset_late()
        if self.transport.is_closing():
            return
        if self._part is _BODY and self.pipeline:
            # The one whose body is wrong will not be answered.
            self.pipeline.popleft()
        elif self._part is _BODY and not self.cycle.response_started:
            self._end(status, message)
            return
        last = self.pipeline[0][0] if self.pipeline else self._running()
        if last is None:
            self._end(status, message)
            return
        self._ended = True
        last.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # uvicorn keeps only the request that came last.
        self._first = cycle
        super()._start_asgi_task(cycle, app)

    def _running(self) -> RequestResponseCycle | None:
        """The request that is being answered, or None."""
        return None if self._first is None or self._first.response_complete else self._first

    def _end(self, status: int, message: str, *, linger: bool = True) -> None:
        """Write an error, and close when the client has had the time to see it."""
        self._ended = True
        body = orjson.dumps({"error": message})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self._unset_keepalive_if_required()
        self._hang_up()
        self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        if not linger:
            self.transport.close()
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.timeout_keep_alive_task = self.loop.call_later(LINGER, self.transport.abort)

    def _hang_up(self) -> None:
        """Let who answers a request know that nobody waits for it."""
        running = self._running()
        if running is not None:
            running.disconnected = True
            running.message_event.set()

    def _make_room(self) -> bool:
        """Close connections whose clients have sent nothing for the longest; whether there are.

        First those without a request, then those whose body does not come.
        """
        others = [o for o in self.connections if isinstance(o, Connection) and o is not self]
        if any(one.transport.is_closing() for one in others):
            # There will be room at the next turn of the loop.
            return True
        until = self.loop.time() - STALE
        chosen = [one for one in others if one.waiting] or [
            one for one in others if one._part is _BODY and one._since < until
        ]
        for one in heapq.nsmallest(len(others) // EVICTED + 1, chosen, key=_since):
            one.transport.abort()
        return bool(chosen)

    def _unset_late(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _watch_reading(self, left: int) -> None:
        """End the connection unless the client reads something until the next look."""

        def look() -> None:
            now = self.transport.get_write_buffer_size()
            if now >= left:
                self.transport.abort()
            elif now:
                self._watch_reading(now)

        if self._stalled is not None:
            self._stalled.cancel()
        self._stalled = self.loop.call_later(self._limits.stalled_seconds, look)


def _since(connection: Connection) -> float:
    return connection._since
