"""Batching: several requests are answered by one call of the model.

Requests queue while the model is busy; when it is free, those that fit together go into one call.
Requests that the event loop receives in one turn are queued together. By default no request waits
for others to come, so that a single client pays for handing its request to a thread and no more.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trainer.serving.http.errors import HTTPError, overloaded
from trainer.serving.models.signature import Signature

logger = logging.getLogger(__name__)

Arrays = Mapping[str, np.ndarray]
ModelCall = Callable[[Signature, Arrays], dict[str, np.ndarray]]


@dataclass(slots=True)
class _QueuedRequest:
    signature: Signature
    arrays: Arrays
    rows: int
    # Requests can share a call if they have the same signature and the same shapes of rows.
    key: tuple[object, ...]
    future: asyncio.Future[dict[str, np.ndarray]]
    # Nobody waits for the outputs any more. Set in the event loop, read in the threads.
    dropped: bool = field(default=False)


class Batcher:
    """The queue of one model, and the threads that call it; used from one event loop.

    Args:
        call: Runs the model; called in the threads.
        max_batch: Most rows in one call; a request with more is answered by several calls.
        max_queue: Most requests that wait.
        wait: Seconds that a batch that is not full waits for more.
        threads: Calls at a time.
        observe: Called with the rows of each call, in the event loop.
    """

    def __init__(
        self,
        call: ModelCall,
        *,
        max_batch: int,
        max_queue: int,
        wait: float = 0.0,
        threads: int = 1,
        observe: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self._call, self._observe = call, observe
        self._max_batch, self._max_queue, self._wait = max_batch, max_queue, wait
        # Requests of this turn of the event loop, which alone uses the list.
        self._arrived: list[_QueuedRequest] = []
        self.waiting = 0
        # Used by all threads, under the lock of `_changed`.
        self._queue: deque[_QueuedRequest] = deque()
        self._changed = threading.Condition()
        self._closed = False
        # True for each thread that is in a call of the model; a thread writes its own entry only.
        self._in_call = [False] * threads
        self._loop: asyncio.AbstractEventLoop | None = None
        for i in range(threads):
            name = f"model-{i}"
            threading.Thread(target=self._work, args=(i,), name=name, daemon=True).start()

    @property
    def full(self) -> bool:
        """True if the next request will be refused."""
        return self.waiting >= self._max_queue

    @property
    def calling(self) -> bool:
        """True while the model is being called, even for a client that has hung up."""
        return any(self._in_call)

    async def submit(self, signature: Signature, arrays: Arrays) -> dict[str, np.ndarray]:
        """Queue a request, and wait for its outputs.

        Args:
            signature: The signature that is called.
            arrays: Its inputs; where it is `batched`, all have the same number of rows.

        Returns:
            The outputs for these rows alone.

        Raises:
            HTTPError: The queue is full, or the model refused the values.
        """
        if self.full:
            raise overloaded(f"{self.waiting} requests are waiting already; try again")
        self._loop = asyncio.get_running_loop()
        rows = len(next(iter(arrays.values()))) if signature.batched else 0
        shapes = [value.shape[1:] for value in arrays.values()]
        item = _QueuedRequest(
            signature, arrays, rows, (signature.name, *shapes), self._loop.create_future()
        )
        self.waiting += 1
        if not self._arrived:
            self._loop.call_soon(self._hand_over)
        self._arrived.append(item)
        try:
            return await item.future
        finally:
            item.dropped = True
            self.waiting -= 1

    def close(self) -> None:
        """End the threads once they have answered the requests that are queued."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _hand_over(self) -> None:
        with self._changed:
            if not self._closed:
                self._queue.extend(self._arrived)
                self._changed.notify()
        if self._closed:
            self._deliver(self._arrived, overloaded("the model has been let go of; try again"))
        self._arrived.clear()

    def _work(self, number: int) -> None:
        while items := self._next_batch():
            self._in_call[number] = True
            if logger.isEnabledFor(logging.DEBUG):
                rows = sum(item.rows or 1 for item in items)
                logger.debug("batch of %d rows from %d requests", rows, len(items))
            self._run_batch(items)
            self._in_call[number] = False

    def _next_batch(self) -> list[_QueuedRequest]:
        """Wait for the next batch; return an empty one when there will be none."""
        items: list[_QueuedRequest] = []
        with self._changed:
            while not items:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if not self._queue:
                    return []
                self._fill(items)
            until = time.monotonic() + self._wait if items[0].rows else 0.0
            while not self._closed and self._room(items) > 0:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
                self._fill(items)
            if self._queue:
                self._changed.notify()
        return items

    def _fill(self, items: list[_QueuedRequest]) -> None:
        """Move requests that fit from the queue to a batch; the others keep their order."""
        left: list[_QueuedRequest] = []
        room = self._room(items)
        while self._queue:
            item = self._queue.popleft()
            if item.dropped:
                continue
            fits = item.rows and item.key == items[0].key and item.rows <= room if items else True
            if not fits:
                left.append(item)
                continue
            items.append(item)
            room -= item.rows
            if not item.rows or room <= 0:
                break
        self._queue.extendleft(reversed(left))

    def _room(self, items: list[_QueuedRequest]) -> int:
        """Return how many more rows fit in a batch."""
        if items and not items[0].rows:
            return 0
        return self._max_batch - sum(item.rows for item in items)

    def _run_batch(self, items: Sequence[_QueuedRequest]) -> None:
        try:
            results = self._call_model(items)
        except Exception as error:
            if len(items) > 1:
                # Find the request whose values failed: it must not fail the others.
                logger.debug("a batch of %d requests failed; each is tried alone", len(items))
                for item in items:
                    if not item.dropped:
                        self._run_batch([item])
                return
            self._send_back(items, error)
        else:
            self._send_back(items, results)

    def _call_model(self, items: Sequence[_QueuedRequest]) -> list[dict[str, np.ndarray]]:
        signature = items[0].signature
        if len(items) == 1 and items[0].rows <= self._max_batch:
            return [self._call(signature, items[0].arrays)]
        names = list(items[0].arrays)
        arrays = dict(items[0].arrays)
        if len(items) > 1:
            arrays = {name: np.concatenate([i.arrays[name] for i in items]) for name in names}
        total = sum(item.rows for item in items)
        parts = []
        for start in range(0, total, self._max_batch):
            piece = {k: v[start : start + self._max_batch] for k, v in arrays.items()}
            part = self._call(signature, piece)
            size = min(self._max_batch, total - start)
            for name, value in part.items():
                if len(value) != size:
                    raise HTTPError(
                        400, f"output '{name}' has {len(value)} rows for {size} instances"
                    )
            parts.append(part)
        joined = parts[0]
        if len(parts) > 1:
            joined = {name: np.concatenate([p[name] for p in parts]) for name in joined}
        results, start = [], 0
        for item in items:
            stop = start + item.rows
            results.append({name: value[start:stop] for name, value in joined.items()})
            start = stop
        return results

    def _send_back(
        self, items: Sequence[_QueuedRequest], results: Sequence[dict[str, np.ndarray]] | Exception
    ) -> None:
        loop = self._loop
        assert loop is not None
        try:
            loop.call_soon_threadsafe(self._deliver, items, results)
        except RuntimeError:
            # The event loop has ended, and with it the connections of the clients.
            return

    def _deliver(
        self, items: Sequence[_QueuedRequest], results: Sequence[dict[str, np.ndarray]] | Exception
    ) -> None:
        self._observe(sum(item.rows or 1 for item in items))
        for i, item in enumerate(items):
            if item.future.done():
                continue
            if isinstance(results, Exception):
                item.future.set_exception(results)
            else:
                item.future.set_result(results[i])
