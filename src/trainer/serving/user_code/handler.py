"""The user's own code before and after the model: `code/inference.py`.

    input_handler(data, context) -> body for TensorFlow Serving's REST
    output_handler(response, context) -> (body, content type)
  or
    handler(data, context) -> (body, content type)

The interface is that of SageMaker's TensorFlow Serving container: `data` is a file of the request's
body, `response` is like the result of `requests.post(context.rest_uri, …)`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import Response

from trainer.config import UserError
from trainer.models import describe
from trainer.runtime import log, output
from trainer.serving.formats import tf_json
from trainer.serving.http.endpoint import JSON, RequestContext, error_response
from trainer.serving.http.errors import HTTPError, overloaded, shown_value
from trainer.serving.models.version import Version
from trainer.serving.predict import Predictor
from trainer.serving.protocols import attributes

THREADS = 8

HandlerContext = namedtuple(
    "HandlerContext",
    "model_name, model_version, method, rest_uri, grpc_port, channel, custom_attributes, "
    "request_content_type, accept_header, content_length",
)


@dataclass(frozen=True)
class RestResponse:
    """The attributes of a `requests.Response` that `output_handler` gets.

    Attributes:
        status_code: HTTP's.
        content: The body.
        headers: With Content-Type.
    """

    status_code: int
    content: bytes
    headers: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """True if the model has answered."""
        return self.status_code < 400

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode()

    def json(self) -> Any:
        """Return the document that the body holds."""
        return json.loads(self.content)


class CodeError(Exception):
    """An error of the user's code; the message is one line."""


class UserCode:
    """One `inference.py`.

    Args:
        path: The file.
        predictor: Runs the models on what `input_handler` returns.
        port: Of this server.
        max_queue: Most requests that wait or are running.
    """

    def __init__(self, path: Path, *, predictor: Predictor, port: int, max_queue: int) -> None:
        self._predictor, self._port, self._max_queue = predictor, port, max_queue
        self._requests = 0
        self._running = 0
        self._lock = threading.Lock()
        module = _import(path)
        self._handler: Any = getattr(module, "handler", None)
        self._input: Any = getattr(module, "input_handler", None)
        self._output: Any = getattr(module, "output_handler", None)
        if self._handler is None and (self._input is None or self._output is None):
            raise UserError(
                subject=path,
                problem="expected a function handler, or both input_handler and output_handler",
            )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="handler")

    @property
    def calling(self) -> bool:
        """True while it is running, even for a client that has hung up."""
        return self._running > 0

    async def respond(self, context: RequestContext, version: Version, body: bytes) -> Response:
        """Respond to a request by way of the user's functions.

        Args:
            context: The request.
            version: The model that it asks.
            body: Of the request.

        Raises:
            HTTPError: There are too many requests.
        """
        if self._requests >= self._max_queue:
            raise overloaded(f"{self._requests} requests are waiting already; try again")
        handler_context = self._context(context, version, len(body))
        data = io.BytesIO(body)
        self._requests += 1
        try:
            if self._handler is not None:
                result = await self._run(self._handler, data, handler_context)
            else:
                made = await self._run(self._input, data, handler_context)
                response = await self._predict(context, version, _content(made, "input_handler"))
                result = await self._run(self._output, response, handler_context)
            return _response(result, handler_context.accept_header)
        except CodeError as problem:
            return error_response(500, f"inference.py: {problem}")
        finally:
            self._requests -= 1

    async def _run(self, function: Callable[..., Any], *given: object) -> Any:
        """Call one of the user's functions in a thread."""

        def work() -> Any:
            with self._lock:
                self._running += 1
            try:
                return function(*given)
            except BaseException as problem:
                # SystemExit would end the server, and a future cannot hold StopIteration.
                output.err_traceback(problem)
                raise CodeError(_one_line(problem)) from None
            finally:
                with self._lock:
                    self._running -= 1

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _predict(
        self, context: RequestContext, version: Version, body: bytes
    ) -> RestResponse:
        try:
            content = await self._predictor.predict(
                context, version, body, reader=tf_json.read, media_type=JSON
            )
            status = 200
        except HTTPError as error:
            content, status = json.dumps({"error": error.message}).encode(), error.status
        return RestResponse(status, content, {"Content-Type": JSON})

    def _context(self, context: RequestContext, version: Version, length: int) -> HandlerContext:
        headers = context.request.headers
        wanted = attributes.parse(headers)
        number = wanted.get("tfs-model-version")
        uri = f"http://localhost:{self._port}/v1/models/{version.name}"
        if number is not None:
            uri += f"/versions/{number}"
        accept = headers.get("accept", JSON)
        return HandlerContext(
            model_name=version.name,
            model_version=number,
            method=wanted.get("tfs-method"),
            rest_uri=f"{uri}:predict",
            # There is no gRPC here.
            grpc_port=None,
            channel=None,
            custom_attributes=headers.get(attributes.HEADER),
            request_content_type=headers.get("content-type", JSON),
            accept_header=JSON if accept == "*/*" else accept,
            content_length=length,
        )


def _import(path: Path) -> Any:
    """Import a module from a file; it can import the modules in its folder."""
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    name = f"inference_{abs(hash(folder))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Data classes, pickle and type hints look a module up in sys.modules.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as problem:
        raise UserError(
            subject=path,
            problem=f"it cannot be imported: {describe(problem)}",
        ) from None
    finally:
        log.enable()
    return module


def _response(result: Any, accept: str) -> Response:
    """Return the response for what a handler returned.

    Raises:
        CodeError: It cannot be sent.
    """
    body, kind = result if isinstance(result, tuple) and len(result) == 2 else (result, accept)
    content = _content(body, "the handler")
    if not (kind is None or (isinstance(kind, str) and kind.isascii() and kind.isprintable())):
        raise CodeError(f"the handler gave {shown_value(repr(kind))}; expected a content type")
    return Response(content, media_type=kind)


def _content(value: Any, function: str) -> bytes:
    """Return the body that a user's function returned.

    Raises:
        CodeError: It is neither text nor bytes.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise CodeError(f"{function} gave {shown_value(repr(value))}; expected text or bytes")


def _one_line(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {shown_value(problem, 300)}".removesuffix(": ")
