"""Answering several requests with one call of the model.

While the model is busy, requests gather; when it is free, those that fit together go in one call.
What the event loop finds on its connections at one time is handed over at one time. Nothing waits
for more than that unless told to, so that a single client pays for the hand-over alone.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trainer.serving.http.errors import HTTPError, overloaded
from trainer.serving.models.signature import Signature

Arrays = Mapping[str, np.ndarray]
Call = Callable[[Signature, Arrays], dict[str, np.ndarray]]


@dataclass(slots=True)
class _Item:
    signature: Signature
    arrays: Arrays
    rows: int
    # What requests of one call have in common.
    key: tuple[object, ...]
    future: asyncio.Future[dict[str, np.ndarray]]
    # Set in the event loop, read in the threads: who asked has gone.
    dropped: bool = field(default=False)


class Batcher:
    """The queue before one model.

    To be used from one event loop.

    Args:
        call: Runs the model; called in this object's threads.
        max_batch: Most rows in one call; a request with more is answered in several.
        max_queue: Most requests that wait.
        wait: Seconds that a batch that is not full waits for more.
        threads: Calls at a time.
        observe: Gets the rows of each call, in the event loop.
    """

    def __init__(
        self,
        call: Call,
        *,
        max_batch: int,
        max_queue: int,
        wait: float = 0.0,
        threads: int = 1,
        observe: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self._call, self._observe = call, observe
        self._max_batch, self._max_queue, self._wait = max_batch, max_queue, wait
        # Of the event loop alone: what this turn of it has brought.
        self._fresh: list[_Item] = []
        self.waiting = 0
        # Of all threads, under the lock of `_changed`.
        self._queue: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._closed = False
        # Each written by its own thread.
        self._calling = [False] * threads
        self._loop: asyncio.AbstractEventLoop | None = None
        for i in range(threads):
            name = f"model-{i}"
            threading.Thread(target=self._work, args=(i,), name=name, daemon=True).start()

    @property
    def full(self) -> bool:
        """Whether the next request will be refused."""
        return self.waiting >= self._max_queue

    @property
    def calling(self) -> bool:
        """Whether the model is at work, be it for somebody who has gone."""
        return any(self._calling)

    async def submit(self, signature: Signature, arrays: Arrays) -> dict[str, np.ndarray]:
        """Have a request answered.

        Args:
            signature: What is asked.
            arrays: Its inputs; where it is `batched`, all with the same number of rows.

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
        item = _Item(signature, arrays, rows, (signature.name, *shapes), self._loop.create_future())
        self.waiting += 1
        if not self._fresh:
            self._loop.call_soon(self._hand_over)
        self._fresh.append(item)
        try:
            return await item.future
        finally:
            item.dropped = True
            self.waiting -= 1

    def close(self) -> None:
        """End the threads when what is queued has been answered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _hand_over(self) -> None:
        with self._changed:
            if not self._closed:
                self._queue.extend(self._fresh)
                self._changed.notify()
        if self._closed:
            self._deliver(self._fresh, overloaded("the model has been let go of; try again"))
        self._fresh.clear()

    def _work(self, number: int) -> None:
        while items := self._next():
            self._calling[number] = True
            self._answer(items)
            self._calling[number] = False

    def _next(self) -> list[_Item]:
        """Wait for the next batch; empty when there will be none."""
        items: list[_Item] = []
        with self._changed:
            while not items:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if not self._queue:
                    return []
                self._take(items)
            until = time.monotonic() + self._wait if items[0].rows else 0.0
            while not self._closed and self._room(items) > 0:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
                self._take(items)
            if self._queue:
                self._changed.notify()
        return items

    def _take(self, items: list[_Item]) -> None:
        """Move what fits together from the queue to a batch; the rest keeps its order."""
        left: list[_Item] = []
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

    def _room(self, items: list[_Item]) -> int:
        """How many more rows fit in a batch."""
        if items and not items[0].rows:
            return 0
        return self._max_batch - sum(item.rows for item in items)

    def _answer(self, items: Sequence[_Item]) -> None:
        try:
            results = self._run(items)
        except Exception as error:
            if len(items) > 1:
                # One request's values must not spoil the others' answers.
                for item in items:
                    if not item.dropped:
                        self._answer([item])
                return
            self._tell(items, error)
        else:
            self._tell(items, results)

    def _run(self, items: Sequence[_Item]) -> list[dict[str, np.ndarray]]:
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

    def _tell(
        self, items: Sequence[_Item], results: Sequence[dict[str, np.ndarray]] | Exception
    ) -> None:
        loop = self._loop
        assert loop is not None
        try:
            loop.call_soon_threadsafe(self._deliver, items, results)
        except RuntimeError:
            # The server has ended meanwhile, and with it those who asked.
            return

    def _deliver(
        self, items: Sequence[_Item], results: Sequence[dict[str, np.ndarray]] | Exception
    ) -> None:
        self._observe(sum(item.rows or 1 for item in items))
        for i, item in enumerate(items):
            if item.future.done():
                continue
            if isinstance(results, Exception):
                item.future.set_exception(results)
            else:
                item.future.set_result(results[i])
