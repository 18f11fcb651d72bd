"""Clients that hang up, around an endpoint that never answers."""

import asyncio
import time
from typing import Any

from trainer.serving.http.endpoint import Endpoint, RequestContext, ServerState
from trainer.serving.http.metrics import Metrics

SECONDS = 30


class Client:
    """Sends a request, and hangs up when `gone` is set."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.asked = asyncio.Event()
        self.sent: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        self.asked.set()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message) -> None:
        self.sent.append(message)


def endpoint(answer, timeout: float = SECONDS) -> tuple[Endpoint, Metrics]:
    metrics = Metrics()
    return Endpoint(
        "test", ServerState(metrics, None, timeout, patience=0.001), {"POST": answer}
    ), metrics


SCOPE = {"type": "http", "method": "POST", "path": "/", "headers": []}


def test_a_request_whose_client_hangs_up_is_given_up():
    async def main():
        ended = asyncio.Event()

        async def answer(context: RequestContext):
            context.body_read = True
            try:
                await asyncio.sleep(SECONDS)
            finally:
                ended.set()

        client, (app, metrics) = Client(), endpoint(answer)
        task = asyncio.create_task(app(SCOPE, client.receive, client.send))
        async with asyncio.timeout(SECONDS / 2):
            await client.asked.wait()
            assert not ended.is_set()
            client.gone.set()
            await task
        assert ended.is_set()
        assert client.sent == []
        assert b'trainer_requests_total{route="test",status="499"} 1.0' in metrics.text()

    asyncio.run(main())


def test_whoever_reads_the_body_is_not_disturbed():
    async def main():
        async def answer(context: RequestContext):
            until = time.monotonic() + 0.05
            while time.monotonic() < until:
                await asyncio.sleep(0)
            assert not client.asked.is_set()
            raise ValueError

        client, (app, _) = Client(), endpoint(answer)
        await app(SCOPE, client.receive, client.send)
        assert client.sent[0]["status"] == 500

    asyncio.run(main())


def test_a_client_that_waits_gets_its_answer_and_is_watched_no_longer():
    async def main():
        async def answer(context: RequestContext):
            context.body_read = True
            await client.asked.wait()
            raise ValueError

        client, (app, _) = Client(), endpoint(answer)
        await app(SCOPE, client.receive, client.send)
        assert client.sent[0]["status"] == 500
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
