"""Predictions: from the bytes of a request's body to those of the response's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from trainer.serving.formats import response
from trainer.serving.formats.large import LARGE
from trainer.serving.formats.request import PredictRequest, RequestReader
from trainer.serving.http.body import BodyReader, decompress
from trainer.serving.http.endpoint import RequestContext
from trainer.serving.http.errors import overloaded
from trainer.serving.models.version import Version

T = TypeVar("T")
# gzip makes at most so many bytes of one.
GZIP_RATIO = 1032


class Predictor:
    """Reads bodies, has the models answer them, and writes responses.

    Args:
        max_payload: Most bytes of a body.
    """

    def __init__(self, max_payload: int) -> None:
        self._limit = max_payload
        self._body_reader = BodyReader(max_payload)
        self._workers = ThreadPoolExecutor(2, thread_name_prefix="formats")

    @contextlib.asynccontextmanager
    async def body(self, context: RequestContext, version: Version) -> AsyncIterator[bytes]:
        """Read a request's body, and keep its room in memory while the block runs.

        Args:
            context: The request.
            version: The model that it asks.

        Raises:
            HTTPError: The body is too large, or the model's queue is full.
        """
        headers = context.request.headers
        if version.batcher.full:
            # Refuse before the body is read, so that a flood of requests takes no memory.
            raise overloaded(f"{version.batcher.waiting} requests are waiting already; try again")
        body = await self._body_reader.read(context.request.receive, headers)
        size = len(body)
        context.body_read = True
        context.log_fields["bytes"] = size
        try:
            encoding = headers.get("content-encoding", "")
            if encoding not in ("", "identity"):
                plain = await self._run(
                    size * GZIP_RATIO, lambda: decompress(body, encoding, self._limit)
                )
                self._body_reader.hold(len(plain))
                size += len(plain)
                body = plain
            yield body
        finally:
            self._body_reader.release(size)

    async def predict(
        self,
        context: RequestContext,
        version: Version,
        body: bytes,
        *,
        reader: RequestReader,
        media_type: str,
        signature: str | None = None,
    ) -> bytes:
        """Return the body of the response.

        Args:
            context: The request.
            version: The model that it asks.
            body: Of the request.
            reader: Reads the body.
            media_type: Of the response, from `registry.accepted`.
            signature: Name of the signature that is called if the body names none.

        Raises:
            HTTPError: The request or the outputs do not fit, or the model refused the values.
        """
        model = version.model
        request: PredictRequest = await self._run(
            len(body), lambda: reader(body, model.signatures, signature)
        )
        rows = len(next(iter(request.arrays.values()))) if request.signature.has_rows else 1
        context.log_fields |= {"model": version.name, "version": version.number, "rows": rows}
        outputs = await version.batcher.submit(request.signature, request.arrays)
        size = sum(array.nbytes for array in outputs.values())
        return await self._run(
            size, lambda: response.write(outputs, media_type=media_type, form=request.form)
        )

    async def _run(self, size: int, work: Callable[[], T]) -> T:
        # A large body keeps the event loop, and with it all other requests, waiting: use a thread.
        if size < LARGE:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)
