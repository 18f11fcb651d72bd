"""A user's own code before and after the model: `code/inference.py`.

    input_handler(data, context) -> body for TensorFlow Serving's REST
    output_handler(response, context) -> (body, content type)
  or
    handler(data, context) -> (body, content type)

As SageMaker's TensorFlow Serving container has it: `data` is a file of the request's body,
`response` what `requests.post(context.rest_uri, …)` would give. `code/lib` is on the path; without
it, `code/requirements.txt` is installed when the server starts.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import sys
import traceback
from collections import namedtuple
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import Response

from trainer.errors import UserError
from trainer.launch import pip
from trainer.report import Reporter
from trainer.serving import attributes
from trainer.serving.endpoint import JSON, Call, error
from trainer.serving.formats import tf_json
from trainer.serving.predict import Predictor
from trainer.serving.refusal import Refusal
from trainer.serving.version import Version

PIP_SECONDS = 600.0
THREADS = 8

Context = namedtuple(
    "Context",
    "model_name, model_version, method, rest_uri, grpc_port, channel, custom_attributes, "
    "request_content_type, accept_header, content_length",
)


@dataclass(frozen=True)
class RestResponse:
    """What `output_handler` finds of a `requests.Response`.

    Attributes:
        status_code: Of HTTP.
        content: The body.
        headers: With Content-Type.
    """

    status_code: int
    content: bytes
    headers: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether the model has answered."""
        return self.status_code < 400

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode()

    def json(self) -> Any:
        """The body as what it says."""
        return json.loads(self.content)


class UserCode:
    """One `inference.py`.

    Args:
        path: The file.
        predictor: Answers what it makes of requests.
        port: Of this server.
    """

    def __init__(self, path: Path, *, predictor: Predictor, port: int) -> None:
        self._predictor, self._port = predictor, port
        module = _import(path)
        self._handler: Any = getattr(module, "handler", None)
        self._input: Any = getattr(module, "input_handler", None)
        self._output: Any = getattr(module, "output_handler", None)
        if self._handler is None and (self._input is None or self._output is None):
            raise UserError(
                f"{path}: expected a function handler, or both input_handler and output_handler"
            )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="handler")

    async def answer(self, call: Call, version: Version, body: bytes) -> Response:
        """Answer a request by way of the user's functions."""
        context = self._context(call, version, len(body))
        run = asyncio.get_running_loop().run_in_executor
        data = io.BytesIO(body)
        try:
            if self._handler is not None:
                result = await run(self._threads, self._handler, data, context)
            else:
                made = await run(self._threads, self._input, data, context)
                response = await self._ask(call, version, made)
                result = await run(self._threads, self._output, response, context)
        except Exception as problem:
            traceback.print_exc(file=sys.stderr)
            return error(500, f"inference.py: {type(problem).__name__}: {problem}")
        content, kind = result if isinstance(result, tuple) else (result, context.accept_header)
        return Response(content, media_type=kind)

    async def _ask(self, call: Call, version: Version, made: str | bytes) -> RestResponse:
        body = made.encode() if isinstance(made, str) else bytes(made)
        try:
            content = await self._predictor.answer(
                call, version, body, reader=tf_json.read, accept=JSON
            )
            status = 200
        except Refusal as refusal:
            content, status = json.dumps({"error": refusal.message}).encode(), refusal.status
        return RestResponse(status, content, {"Content-Type": JSON})

    def _context(self, call: Call, version: Version, length: int) -> Context:
        headers = call.request.headers
        asked = attributes.parse(headers)
        number = asked.get("tfs-model-version")
        uri = f"http://localhost:{self._port}/v1/models/{version.name}"
        if number is not None:
            uri += f"/versions/{number}"
        accept = headers.get("accept", JSON)
        return Context(
            model_name=version.name,
            model_version=number,
            method=asked.get("tfs-method"),
            rest_uri=f"{uri}:predict",
            # There is no gRPC here.
            grpc_port=None,
            channel=None,
            custom_attributes=headers.get(attributes.HEADER),
            request_content_type=headers.get("content-type", JSON),
            accept_header=JSON if accept == "*/*" else accept,
            content_length=length,
        )


class Handlers:
    """The user's code of each model, if there is any.

    Args:
        predictor: See `UserCode`.
        port: See `UserCode`.
    """

    def __init__(self, *, predictor: Predictor, port: int) -> None:
        self._predictor, self._port = predictor, port
        self._all: UserCode | None = None
        self._own: dict[str, UserCode] = {}

    def load(self, folder: Path) -> None:
        """Import what there is.

        Args:
            folder: The model folder; `code` in it is for all models that have none of their own.

        Raises:
            UserError: It cannot be imported, or lacks the functions.
        """
        for code in (folder / "code", *sorted(folder.glob("*/code"))):
            path = code / "inference.py"
            if not path.is_file():
                continue
            user = UserCode(path, predictor=self._predictor, port=self._port)
            if code.parent == folder:
                self._all = user
            else:
                self._own[code.parent.name] = user

    def of(self, model: str) -> UserCode | None:
        """The code for a model."""
        return self._own.get(model, self._all)


def install(folder: Path, *, env: Mapping[str, str], reporter: Reporter) -> None:
    """Put in place what the code of a model folder needs.

    Raises:
        UserError: pip failed.
    """
    for code in (folder / "code", *sorted(folder.glob("*/code"))):
        lib = code / "lib"
        if lib.is_dir():
            sys.path.insert(0, str(lib))
        elif (code / pip.REQUIREMENTS).is_file():
            pip.install(
                [], folder=code, env=env, python=sys.executable, timeout=PIP_SECONDS,
                reporter=reporter,
            )  # fmt: skip


def _import(path: Path) -> Any:
    """A module from a file; what lies beside it can be imported by it."""
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    name = f"inference_{abs(hash(folder))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        raise UserError(f"{path}: {type(problem).__name__}: {problem}") from None
    return module
