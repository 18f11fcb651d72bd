"""HTTP connections that bound everything before and around a body, too.

uvicorn's protocol bounds neither the size of a header nor the time that it takes, nor how many
requests a client sends ahead. Each costs memory and work in the event loop that serves all clients.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
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

from trainer.serving.http.limits import ConnectionLimits
from trainer.serving.http.message_meter import BETWEEN, BODY, HEADER, LimitError, MessageMeter
from trainer.serving.http.stalled_reader import StalledReader

logger = logging.getLogger(__name__)

# Requests that a client may send before the response to the first.
PIPELINED = 16
# Of the connections that wait for their clients, one of so many is closed to make room.
EVICTED = 16


class _PipelineFlow(FlowControl):
    """Flow control that keeps reading paused while requests wait that were sent ahead."""

    held = False

    def resume_reading(self) -> None:
        """Resume reading unless requests wait."""
        if not self.held:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """One client's connection.

    Args:
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: uvicorn's.
        _loop: uvicorn's.
        limits: The limits of all connections.
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
        self._meter = MessageMeter()
        # No more requests are read: the connection ends after those that are being answered.
        self._closing = False
        self._header_timer: asyncio.TimerHandle | None = None
        self._stalled_reader: StalledReader | None = None
        # When the client last sent something, or got a whole response.
        self._active_at = 0.0
        self._first: RequestResponseCycle | None = None

    @property
    def waiting(self) -> bool:
        """True if no request is being answered, though part of a header may have come."""
        return self._running() is None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for one more, and wait for its first request no longer than for others."""
        super().connection_made(transport)
        self.flow = _PipelineFlow(transport)
        self._active_at = self.loop.time()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        if len(self.connections) > self._limits.connections and not self._make_room():
            self._end(503, "too many connections; try again", linger=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and let the request that is being answered know."""
        self._cancel_header_timer()
        if self._stalled_reader is not None:
            self._stalled_reader.stop()
        self._unset_keepalive_if_required()
        self._hang_up()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, as long as it keeps within the limits."""
        if self._closing:
            return
        self._unset_keepalive_if_required()
        self._active_at = self.loop.time()
        meter = self._meter
        part, body_bytes = meter.part, meter.body_bytes
        meter.part_changed = False
        try:
            self.parser.feed_data(data)
            meter.add_piece(len(data), part_before=part, body_size=meter.body_bytes - body_bytes)
        except httptools.HttpParserUpgrade:
            self._unsupported_upgrade_warning()
        except LimitError as error:
            self._refuse(error.status, error.message)
            return
        except httptools.HttpParserError as error:
            # The parser raises its own error; a callback's exception is its context.
            limit = error.__context__
            if isinstance(limit, LimitError):
                self._refuse(limit.status, limit.message)
            else:
                self._refuse(400, "Invalid HTTP request received.")
            return
        self._bound_header()

    def on_message_begin(self) -> None:
        """Begin a header."""
        self._meter.enter(HEADER)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take some of the path."""
        self._meter.add_path(len(url))
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the header; those behind a body are passed over."""
        meter = self._meter
        meter.add_field(len(name) + len(value))
        if meter.part is HEADER:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin a request, or have it wait for those before it."""
        if len(self.pipeline) >= PIPELINED:
            # Requests accepted before are answered first, then this error closes the connection.
            raise LimitError(503, "too many requests sent ahead")
        super().on_headers_complete()
        self._meter.enter(BODY)
        self._pipeline_flow.held = bool(self.pipeline)

    def on_body(self, body: bytes) -> None:
        """Take some of the body."""
        self._meter.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request's body."""
        self._meter.enter(BETWEEN)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the request that waits, or wait for one."""
        self._active_at = self.loop.time()
        # uvicorn takes one of them now.
        self._pipeline_flow.held = len(self.pipeline) > 1
        super().on_response_complete()
        self._bound_header()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, also one whose client has not read the response."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """Watch a client that does not read its response."""
        super().pause_writing()
        if self._stalled_reader is None:
            self._stalled_reader = StalledReader(
                self.transport, self.loop, self._limits.stalled_seconds
            )
        self._stalled_reader.start()

    @property
    def _pipeline_flow(self) -> _PipelineFlow:
        assert isinstance(self.flow, _PipelineFlow)
        return self.flow

    def _bound_header(self) -> None:
        """Bound the time of a header, and of the rest of a body that has its response already."""
        bounded = self._running() is None if self._meter.part is BODY else self._meter.in_header
        if not bounded:
            if self._header_timer is not None:
                self._cancel_header_timer()
        elif self._header_timer is None:
            seconds = self._limits.header_seconds
            self._header_timer = self.loop.call_later(seconds, self._end_late_header)

    def _end_late_header(self) -> None:
        self._header_timer = None
        if self._meter.part is BODY:
            self.transport.abort()
            return
        seconds = self._limits.header_seconds
        self._refuse(408, f"the header did not arrive within {seconds:g} s")

    def _cancel_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _refuse(self, status: int, message: str) -> None:
        """End with an error, after the responses to the requests before."""
        logger.debug("connection of %s: %d %s", self.client, status, message)
        self._cancel_header_timer()
        if self.transport.is_closing():
            return
        in_body = self._meter.part is BODY
        if in_body and self.pipeline:
            # The request whose body is wrong is not answered.
            self.pipeline.popleft()
        elif in_body and not self.cycle.response_started:
            self._end(status, message)
            return
        last = self.pipeline[0][0] if self.pipeline else self._running()
        if last is None:
            self._end(status, message)
            return
        self._closing = True
        last.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # uvicorn keeps only the request that came last.
        self._first = cycle
        super()._start_asgi_task(cycle, app)

    def _running(self) -> RequestResponseCycle | None:
        """Return the request that is being answered, or None."""
        return None if self._first is None or self._first.response_complete else self._first

    def _end(self, status: int, message: str, *, linger: bool = True) -> None:
        """Write an error, and close when the client has had the time to see it."""
        self._closing = True
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
        self.timeout_keep_alive_task = self.loop.call_later(
            self._limits.linger_seconds, self.transport.abort
        )

    def _hang_up(self) -> None:
        """Let the handler of a request know that its client is gone."""
        running = self._running()
        if running is not None:
            running.disconnected = True
            running.message_event.set()

    def _make_room(self) -> bool:
        """Close connections whose clients have sent nothing for the longest.

        First those without a request, then those whose body does not come.

        Returns:
            Whether there are such connections.
        """
        others = [o for o in self.connections if isinstance(o, Connection) and o is not self]
        if any(one.transport.is_closing() for one in others):
            # There will be room at the next turn of the loop.
            return True
        until = self.loop.time() - self._limits.stale_seconds
        chosen = [one for one in others if one.waiting] or [
            one for one in others if one._meter.part is BODY and one._active_at < until
        ]
        count = len(others) // EVICTED + 1
        for one in heapq.nsmallest(count, chosen, key=lambda each: each._active_at):
            one.transport.abort()
        return bool(chosen)
