"""ASGI application of one path: its methods, the form of its errors, its line in the access log."""

from __future__ import annotations

import asyncio
import logging
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
from trainer.serving.http.body import CLOSE, ClientDisconnectedError
from trainer.serving.http.disconnect import Disconnect
from trainer.serving.http.errors import HTTPError, overloaded
from trainer.serving.http.metrics import Metrics

logger = logging.getLogger(__name__)

JSON = "application/json"
# nginx's status for a client that hung up.
CLIENT_CLOSED_REQUEST = 499


@dataclass(slots=True)
class RequestContext:
    """A request with the facts that its handler adds for the access log.

    Attributes:
        request: Starlette's.
        body_read: Whether the body has been read.
        log_fields: Further fields of its line in the access log.
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
    """State of the server that all its endpoints share.

    Attributes:
        metrics: Counts responses.
        log: Gets a line for each; None for none.
        timeout: Seconds for a request.
        draining: Whether the server is about to end.
        patience: Seconds after which a client is watched for hanging up. Most requests have been
            answered by then, and never pay for being watched.
    """

    metrics: Metrics
    log: AccessLog | None
    timeout: float
    draining: bool = False
    patience: float = 0.1


class Endpoint:
    """An ASGI application for one path.

    Args:
        name: Of the route, for the metrics.
        state: Shared with the other endpoints.
        methods: The handler of each HTTP method; HEAD is handled as GET.
    """

    def __init__(self, name: str, state: ServerState, methods: Mapping[str, Handler]) -> None:
        self._name, self._state = name, state
        self._methods = dict(methods)
        if "GET" in methods:
            self._methods.setdefault("HEAD", methods["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        begun = time.perf_counter()
        context = RequestContext(Request(scope, receive))
        status = CLIENT_CLOSED_REQUEST
        try:
            response = await self._response(context)
            if self._state.draining:
                response.headers["connection"] = "close"
            status = response.status_code
            await response(scope, receive, send)
        except ClientDisconnectedError:
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
        disconnect = Disconnect(context, patience=self._state.patience)
        try:
            async with asyncio.timeout(self._state.timeout):
                return await handler(context)
        except HTTPError as error:
            logger.debug("%s: %d: %s", context.path, error.status, error.message)
            return error_response(error.status, error.message, error.headers)
        except TimeoutError:
            limit = f"{self._state.timeout:g} s"
            if context.body_read:
                return error_response(504, f"no answer within {limit}")
            return error_response(408, f"the body did not arrive within {limit}", CLOSE)
        except asyncio.CancelledError:
            if disconnect.happened:
                raise ClientDisconnectedError from None
            if not self._state.draining:
                raise
            ended = overloaded("the server has ended before the answer")
            return error_response(ended.status, ended.message, ended.headers | CLOSE)
        except ClientDisconnectedError:
            raise
        except Exception as problem:
            # A mistake of ours, or of a user's handler: the server goes on.
            output.err_traceback(problem)
            return error_response(500, f"internal error: {type(problem).__name__}")
        finally:
            disconnect.close()

    def _record(self, context: RequestContext, status: int, seconds: float) -> None:
        """Count a response, and write its line to the access log."""
        state = self._state
        state.metrics.count_response(self._name, status, seconds)
        # Platforms and Prometheus ask every few seconds; a line for each would hide the others.
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


def json_response(document: object, *, indent: bool = False) -> Response:
    """Return a response that is a JSON document.

    Args:
        document: What it holds.
        indent: Whether it is written for people to read.
    """
    option = orjson.OPT_INDENT_2 if indent else None
    return Response(orjson.dumps(document, option=option), media_type=JSON)


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error in the form that TensorFlow Serving gives it."""
    # A path or value of the client's may hold bytes that are no text.
    safe = output.clean(message).encode("utf-8", "backslashreplace").decode()
    return Response(orjson.dumps({"error": safe}), status, headers, JSON)
