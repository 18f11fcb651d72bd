"""Batches of real threads, around a model that is held up at will."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from trainer.serving.http.errors import HTTPError
from trainer.serving.models.batching import Batcher
from trainer.serving.models.signature import Signature, Tensor

SECONDS = 30


def tensor(name: str, *shape: int | None) -> Tensor:
    return Tensor(name=name, dtype=np.dtype("float32"), type_name="float32", shape=shape)


def signature(name: str = "double", *, batched: bool = True) -> Signature:
    shape = (None, None)
    return Signature(
        name=name, inputs=(tensor("x", *shape),), outputs=(tensor("y", *shape),), batched=batched
    )


DOUBLE = signature()


class Doubling:
    """A model that doubles, tells of its calls and waits for `go`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[int, ...]]] = []
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, asked, arrays):
        value = arrays["x"]
        self.calls.append((asked.name, value.shape))
        self.entered.release()
        assert self.go.wait(SECONDS)
        if (value < 0).any():
            raise HTTPError(400, "negative")
        return {"y": value * 2}


@contextmanager
def batcher(model, **settings) -> Iterator[Batcher]:
    made = Batcher(model, **{"max_batch": 8, "max_queue": 100} | settings)
    try:
        yield made
    finally:
        if isinstance(model, Doubling):
            model.go.set()
        made.close()


def rows(*values: float, width: int = 2) -> dict[str, np.ndarray]:
    return {"x": np.array([[v] * width for v in values], np.float32)}


async def until(condition) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0)


async def first(model: Doubling, made: Batcher) -> asyncio.Task:
    """Ask for one row, and return when the model works on it."""
    task = asyncio.create_task(made.submit(DOUBLE, rows(0)))
    await asyncio.sleep(0)
    await asyncio.to_thread(model.entered.acquire, timeout=SECONDS)
    return task


def test_what_comes_while_the_model_is_busy_is_answered_together():
    async def main():
        model = Doubling()
        counted = []
        with batcher(model, observe=counted.append) as made:
            busy = await first(model, made)
            tasks = [asyncio.create_task(made.submit(DOUBLE, rows(i, -0.0))) for i in (1, 2, 3)]
            await until(lambda: made.waiting == 4)
            model.go.set()
            answers = await asyncio.gather(*tasks)
            await busy
        assert [shape for _, shape in model.calls] == [(1, 2), (6, 2)]
        for i, found in zip((1, 2, 3), answers, strict=True):
            np.testing.assert_array_equal(found["y"], [[2 * i] * 2, [0, 0]])
        assert counted == [1, 6]

    asyncio.run(main())


def test_no_batch_is_larger_than_allowed_and_order_is_kept():
    async def main():
        model = Doubling()
        with batcher(model, max_batch=4) as made:
            await first(model, made)
            tasks = [asyncio.create_task(made.submit(DOUBLE, rows(*[i] * 3))) for i in range(3)]
            tasks.append(asyncio.create_task(made.submit(DOUBLE, rows(*range(10)))))
            await until(lambda: made.waiting == 5)
            model.go.set()
            *_, large = await asyncio.gather(*tasks)
        np.testing.assert_array_equal(large["y"][:, 0], np.arange(10) * 2)
        assert [shape[0] for _, shape in model.calls] == [1, 3, 3, 3, 4, 4, 2]

    asyncio.run(main())


def test_requests_to_a_signature_that_is_not_batched_are_neither_joined_nor_cut():
    async def main():
        model = Doubling()
        alone = signature("alone", batched=False)
        with batcher(model, max_batch=4, wait=0.01) as made:
            await first(model, made)
            tasks = [asyncio.create_task(made.submit(alone, rows(*range(n)))) for n in (1, 2, 9)]
            await until(lambda: made.waiting == 4)
            model.go.set()
            answers = await asyncio.gather(*tasks)
        assert [shape[0] for _, shape in model.calls] == [1, 1, 2, 9]
        assert [len(found["y"]) for found in answers] == [1, 2, 9]

    asyncio.run(main())


def test_other_shapes_and_signatures_are_not_mixed():
    async def main():
        model = Doubling()
        other = signature("other")
        with batcher(model) as made:
            await first(model, made)
            asked = [(DOUBLE, 2), (DOUBLE, 3), (other, 2), (DOUBLE, 2)]
            tasks = [
                asyncio.create_task(made.submit(s, rows(i, width=width)))
                for i, (s, width) in enumerate(asked)
            ]
            await until(lambda: made.waiting == 5)
            model.go.set()
            answers = await asyncio.gather(*tasks)
        for i, ((_, width), found) in enumerate(zip(asked, answers, strict=True)):
            np.testing.assert_array_equal(found["y"], [[2 * i] * width])
        assert {name for name, _ in model.calls} == {"double", "other"}

    asyncio.run(main())


def test_one_request_that_fails_does_not_spoil_the_others():
    async def main():
        model = Doubling()
        with batcher(model) as made:
            await first(model, made)
            tasks = [asyncio.create_task(made.submit(DOUBLE, rows(i))) for i in (1, -1, 2)]
            await until(lambda: made.waiting == 4)
            model.go.set()
            good, bad, fine = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(bad, HTTPError)
        assert (good["y"][0, 0], fine["y"][0, 0]) == (2, 4)

    asyncio.run(main())


def test_a_full_queue_refuses_and_takes_again_what_comes_later():
    async def main():
        model = Doubling()
        with batcher(model, max_queue=2) as made:
            await first(model, made)
            waiting = asyncio.create_task(made.submit(DOUBLE, rows(1)))
            await until(lambda: made.waiting == 2)
            assert made.full
            with pytest.raises(HTTPError) as caught:
                await made.submit(DOUBLE, rows(2))
            assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "1"})
            model.go.set()
            await waiting
            assert (await made.submit(DOUBLE, rows(2)))["y"][0, 0] == 4

    asyncio.run(main())


def test_who_has_gone_is_not_computed_for():
    async def main():
        model = Doubling()
        with batcher(model) as made:
            busy = await first(model, made)
            task = asyncio.create_task(made.submit(DOUBLE, rows(1)))
            await until(lambda: made.waiting == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert made.waiting == 1
            model.go.set()
            await busy
            await made.submit(DOUBLE, rows(2))
        assert [shape for _, shape in model.calls] == [(1, 2), (1, 2)]

    asyncio.run(main())


def test_who_has_gone_is_not_computed_for_again_after_a_failure():
    async def main():
        model = Doubling()
        with batcher(model) as made:
            model.go.set()
            busy = await first(model, made)
            await busy
            model.go.clear()
            tasks = [asyncio.create_task(made.submit(DOUBLE, rows(i))) for i in (-1, 1, 2)]
            await asyncio.to_thread(model.entered.acquire, timeout=SECONDS)
            tasks[1].cancel()
            await asyncio.sleep(0)
            model.go.set()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert [shape[0] for _, shape in model.calls] == [1, 3, 1, 1]

    asyncio.run(main())


def test_a_batch_waits_for_more_if_it_is_set_to():
    async def main():
        model = Doubling()
        model.go.set()
        # Far longer than the test takes: the batch goes because it is full.
        with batcher(model, wait=SECONDS, max_batch=3) as made:
            tasks = [asyncio.create_task(made.submit(DOUBLE, rows(i))) for i in range(3)]
            async with asyncio.timeout(SECONDS / 2):
                await asyncio.gather(*tasks)
        assert [shape for _, shape in model.calls] == [(3, 2)]

    asyncio.run(main())


def test_a_batch_does_not_wait_longer_than_set():
    async def main():
        model = Doubling()
        model.go.set()
        with batcher(model, wait=0.01) as made:
            async with asyncio.timeout(SECONDS / 2):
                await made.submit(DOUBLE, rows(1))

    asyncio.run(main())


def test_several_calls_at_a_time_with_several_threads():
    async def main():
        model = Doubling()
        with batcher(model, threads=2) as made:
            first_task = await first(model, made)
            second = asyncio.create_task(made.submit(signature("other"), rows(1)))
            await asyncio.to_thread(model.entered.acquire, timeout=SECONDS)
            assert len(model.calls) == 2
            model.go.set()
            await asyncio.gather(first_task, second)

    asyncio.run(main())


def test_what_is_queued_when_it_closes_is_still_answered():
    async def main():
        model = Doubling()
        with batcher(model) as made:
            await first(model, made)
            task = asyncio.create_task(made.submit(DOUBLE, rows(1)))
            await until(lambda: made.waiting == 2)
            await asyncio.sleep(0)
            made.close()
            with pytest.raises(HTTPError, match="has been let go of"):
                await made.submit(DOUBLE, rows(2))
            model.go.set()
            assert (await task)["y"][0, 0] == 2

    asyncio.run(main())


def test_a_model_that_gives_other_rows_is_refused_where_answers_are_joined():
    async def main():
        with batcher(lambda asked, arrays: {"y": arrays["x"][:1]}, max_batch=2) as made:
            with pytest.raises(HTTPError, match="output 'y' has 1 rows for 2 instances"):
                await made.submit(DOUBLE, rows(1, 2, 3))
            assert len((await made.submit(DOUBLE, rows(1, 2)))["y"]) == 1

    asyncio.run(main())
