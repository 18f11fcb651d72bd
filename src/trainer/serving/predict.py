"""From the bytes of a request to those of its answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from trainer.serving.formats import response
from trainer.serving.formats.large import LARGE
from trainer.serving.formats.request import PredictRequest, RequestReader
from trainer.serving.http.body import BodyReader, unpacked
from trainer.serving.http.endpoint import RequestContext
from trainer.serving.http.errors import overloaded
from trainer.serving.models.version import Version

T = TypeVar("T")
# The most that gzip makes of one byte.
RATIO = 1032


class Predictor:
    """Answers requests.

    Args:
        max_payload: Bytes of a body.
    """

    def __init__(self, max_payload: int) -> None:
        self._limit = max_payload
        self._body_reader = BodyReader(max_payload)
        self._workers = ThreadPoolExecutor(2, thread_name_prefix="formats")

    @contextlib.asynccontextmanager
    async def body(self, context: RequestContext, version: Version) -> AsyncIterator[bytes]:
        """Read a request's body, which counts as held while the block runs.

        Raises:
            HTTPError: It is too large, or the model has enough to do.
        """
        headers = context.request.headers
        if version.batcher.full:
            # Before the body is read, so that a flood takes no memory.
            raise overloaded(f"{version.batcher.waiting} requests are waiting already; try again")
        body = await self._body_reader.read(context.request.receive, headers)
        size = len(body)
        context.body_read = True
        context.log_fields["bytes"] = size
        try:
            encoding = headers.get("content-encoding", "")
            if encoding not in ("", "identity"):
                plain = await self._run(size * RATIO, lambda: unpacked(body, encoding, self._limit))
                self._body_reader.hold(len(plain))
                size += len(plain)
                body = plain
            yield body
        finally:
            self._body_reader.release(size)

    async def answer(
        self,
        context: RequestContext,
        version: Version,
        body: bytes,
        *,
        reader: RequestReader,
        accept: str,
        signature: str | None = None,
    ) -> bytes:
        """Answer a body.

        Args:
            context: The request.
            version: Which model is asked.
            body: What it is asked.
            reader: Reads it.
            accept: The media type of the response, from `registry.accepted`.
            signature: The signature, if the body names none.

        Raises:
            HTTPError: It cannot be answered.
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
            size, lambda: response.write(outputs, media_type=accept, form=request.form)
        )

    async def _run(self, size: int, work: Callable[[], T]) -> T:
        # Larger ones take longer than others should wait for; in a thread they do not have to.
        if size < LARGE:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)
