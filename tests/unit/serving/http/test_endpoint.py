"""What an endpoint logs of the requests that it refuses."""

import asyncio
import json
from typing import Any

from trainer.runtime import log
from trainer.serving.http.endpoint import Endpoint, RequestContext, ServerState
from trainer.serving.http.errors import bad_request
from trainer.serving.http.metrics import Metrics

SCOPE = {"type": "http", "method": "POST", "path": "/invocations", "headers": []}


def refused() -> dict[str, Any]:
    """The error of a request that its handler refuses."""
    sent: list[Any] = []

    async def handler(context: RequestContext):
        raise bad_request("no such input")

    async def send(message) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        raise AssertionError

    endpoint = Endpoint("test", ServerState(Metrics(), None, 30), {"POST": handler})
    asyncio.run(endpoint(SCOPE, receive, send))
    assert sent[0]["status"] == 400
    return json.loads(sent[1]["body"])


def test_at_debug_the_reason_of_a_refusal_is_logged(capsys):
    log.begin("DEBUG", to="err", prefix="trainer: ")
    assert refused() == {"error": "no such input"}
    line = "trainer: debug: serving.http.endpoint: /invocations: 400: no such input\n"
    assert capsys.readouterr() == ("", line)


def test_at_info_a_refusal_is_in_the_access_log_alone(capsys):
    log.begin("INFO", to="err", prefix="trainer: ")
    refused()
    assert capsys.readouterr() == ("", "")
