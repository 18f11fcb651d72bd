"""One path of the server: which methods it takes, how errors look, and what is told of requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from trainer.runtime import output
from trainer.serving.http.access_log import AccessLog
from trainer.serving.http.body import CLOSE, GoneError
from trainer.serving.http.disconnect import Disconnect
from trainer.serving.http.errors import HTTPError, overloaded
from trainer.serving.http.metrics import Metrics

JSON = "application/json"
# nginx's number for a client that hung up.
GONE = 499


@dataclass(slots=True)
class RequestContext:
    """A request, and what is to be told of it.

    Attributes:
        request: Starlette's.
        body_read: Whether the body has been read.
        log_fields: Further fields of its line in the log.
    """

    request: Request
    body_read: bool = False
    log_fields: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path, without the query, which may hold a token."""
        return self.request.scope["path"]


Handler = Callable[[RequestContext], Awaitable[Response]]


@dataclass
class ServerState:
    """What all endpoints share.

    Attributes:
        metrics: Counts answers.
        log: Gets a line for each; None for none.
        timeout: Seconds for a request.
        draining: Whether the server is about to end.
    """

    metrics: Metrics
    log: AccessLog | None
    timeout: float
    draining: bool = False


class Endpoint:
    """An ASGI application for one path.

    Args:
        name: Of the route, for the metrics.
        state: See there.
        methods: What answers each method; HEAD is answered as GET.
    """

    def __init__(self, name: str, state: ServerState, methods: Mapping[str, Handler]) -> None:
        self._name, self._state = name, state
        self._methods = dict(methods)
        if "GET" in methods:
            self._methods.setdefault("HEAD", methods["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        begun = time.perf_counter()
        context = RequestContext(Request(scope, receive))
        status = GONE
        try:
            response = await self._response(context)
            if self._state.draining:
                response.headers["connection"] = "close"
            status = response.status_code
            await response(scope, receive, send)
        except GoneError:
            pass
        finally:
            self._record(context, status, time.perf_counter() - begun)

    async def _response(self, context: RequestContext) -> Response:
        handler = self._methods.get(context.request.method)
        if handler is None:
            allowed = ", ".join(sorted(self._methods))
            return error_response(
                405, f"{context.request.method} is not allowed here; expected {allowed}",
                {"allow": allowed} | CLOSE,
            )  # fmt: skip
        disconnect = Disconnect(context)
        try:
            async with asyncio.timeout(self._state.timeout):
                return await handler(context)
        except HTTPError as error:
            return error_response(error.status, error.message, error.headers)
        except TimeoutError:
            limit = f"{self._state.timeout:g} s"
            if context.body_read:
                return error_response(504, f"no answer within {limit}")
            return error_response(408, f"the body did not arrive within {limit}", CLOSE)
        except asyncio.CancelledError:
            if disconnect.happened:
                raise GoneError from None
            if not self._state.draining:
                raise
            ended = overloaded("the server has ended before the answer")
            return error_response(ended.status, ended.message, ended.headers | CLOSE)
        except GoneError:
            raise
        except Exception as problem:
            # A mistake of ours, or of a user's handler: the server goes on.
            output.err_traceback(problem)
            return error_response(500, f"internal error: {type(problem).__name__}")
        finally:
            disconnect.close()

    def _record(self, context: RequestContext, status: int, seconds: float) -> None:
        state = self._state
        state.metrics.answered(self._name, status, seconds)
        # Platforms and Prometheus look every few seconds; that all is well is no news.
        if state.log is None or (context.request.method == "GET" and status == 200):
            return
        request = context.request
        state.log.add(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "client": request.client.host if request.client else None,
                "method": request.method,
                "path": context.path,
                "status": status,
                "ms": round(seconds * 1000, 2),
            }
            | context.log_fields
        )


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer as TensorFlow Serving gives errors."""
    # A path or value of the client's may hold what is no text.
    safe = output.clean(message).encode("utf-8", "backslashreplace").decode()
    return Response(orjson.dumps({"error": safe}), status, headers, JSON)
