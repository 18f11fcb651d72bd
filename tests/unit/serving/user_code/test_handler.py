"""`inference.py` files of all kinds, around a predictor that answers for the model."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from trainer.config.errors import UserError
from trainer.serving.http.endpoint import RequestContext
from trainer.serving.http.errors import HTTPError, bad_request
from trainer.serving.models.version import Version
from trainer.serving.user_code.handler import UserCode
from trainer.serving.user_code.handlers import Handlers

SECONDS = 30


class Predictor:
    """Gives back what it is asked, or refuses it."""

    async def predict(self, context, version, body: bytes, **more) -> bytes:
        if body == b"bad":
            raise bad_request("no such shape")
        return b"answered " + body


def code(folder: Path, text: str, **more) -> UserCode:
    path = folder / "inference.py"
    path.write_text(text)
    predictor: Any = Predictor()
    return UserCode(path, **{"predictor": predictor, "port": 1, "max_queue": 9} | more)


async def ask(user: UserCode, body: bytes = b"", accept: str = "text/plain") -> Response:
    headers = [(b"accept", accept.encode())]
    context = RequestContext(
        Request({"type": "http", "method": "POST", "path": "/", "headers": headers})
    )
    nothing: Any = None
    return await user.respond(context, Version("model", 1, nothing, nothing), body)


def asked(user: UserCode, body: bytes = b"") -> tuple[int, bytes, str | None]:
    response = asyncio.run(asyncio.wait_for(ask(user, body), SECONDS))
    return response.status_code, bytes(response.body), response.headers.get("content-type")


@pytest.mark.parametrize(
    ("given", "body", "kind"),
    [
        ("b'x', 'text/csv'", b"x", "text/csv; charset=utf-8"),
        ("'ä', 'application/json'", "ä".encode(), "application/json"),
        ("bytearray(b'x')", b"x", "text/plain; charset=utf-8"),
        ("b'x', None", b"x", None),
    ],
)
def test_a_handler_gives_text_or_bytes_and_their_type(tmp_path, given, body, kind):
    user = code(tmp_path, f"def handler(data, context):\n    return {given}")
    assert asked(user) == (200, body, kind)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("raise ValueError('one\\n two')", "ValueError: one two"),
        ("return {'a': 1}", "the handler gave {'a': 1}; expected text or bytes"),
        ("return None", "the handler gave None; expected text or bytes"),
        ("return 1, 2, 3", "the handler gave (1, 2, 3); expected text or bytes"),
        ("return 'x', 5", "the handler gave 5; expected a content type"),
        ("return 'x', 'a\\nb'", "the handler gave 'a\\nb'; expected a content type"),
        # Which the event loop would end at, or never hear of.
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("next(iter([]))", "StopIteration"),
    ],
)
def test_whatever_a_handler_does_wrong_is_an_answer_of_one_line(tmp_path, line, message, capfd):
    status, body, _ = asked(code(tmp_path, f"def handler(data, context):\n    {line}"))
    assert (status, json.loads(body)) == (500, {"error": f"inference.py: {message}"})
    assert ("Traceback" in capfd.readouterr().err) == (not line.startswith("return"))


BOTH = """
def input_handler(data, context):
    return {given}

def output_handler(response, context):
    return response.text, "text/plain"
"""


def test_what_input_handler_makes_goes_to_the_model(tmp_path):
    user = code(tmp_path, BOTH.format(given="data.read()"))
    assert asked(user, b"this")[:2] == (200, b"answered this")
    assert asked(user, b"bad")[:2] == (200, b'{"error": "no such shape"}')


def test_an_input_handler_that_gives_no_body_is_an_error(tmp_path):
    status, body, _ = asked(code(tmp_path, BOTH.format(given="5")))
    assert (status, b"input_handler gave 5; expected text or bytes" in body) == (500, True)


def test_more_requests_than_may_wait_are_refused(tmp_path):
    entered, go = threading.Semaphore(0), threading.Event()
    user = code(tmp_path, "def handler(data, context):\n    return WAIT()", max_queue=2)

    def wait() -> str:
        entered.release()
        assert go.wait(SECONDS)
        return "done"

    user._handler.__globals__["WAIT"] = wait

    async def main():
        tasks = [asyncio.create_task(ask(user)) for _ in range(2)]
        for _ in tasks:
            await asyncio.to_thread(entered.acquire, timeout=SECONDS)
        assert user.calling
        with pytest.raises(HTTPError) as caught:
            await ask(user)
        assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "1"})
        go.set()
        assert [bytes(r.body) for r in await asyncio.gather(*tasks)] == [b"done"] * 2
        assert not user.calling
        assert (await ask(user)).status_code == 200

    asyncio.run(main())


def test_what_looks_for_its_own_module_finds_it(tmp_path):
    text = """
from __future__ import annotations
import dataclasses, pickle

@dataclasses.dataclass
class Row:
    x: int = 1

def handler(data, context):
    return str(pickle.loads(pickle.dumps(Row(7))).x), "text/plain"
"""
    assert asked(code(tmp_path, text))[:2] == (200, b"7")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys; sys.exit(1)", r"imported: it ends the program by sys.exit\(1\) \(.*:1\)$"),
        ("1/0", r"inference.py: it cannot be imported: ZeroDivisionError: division.*\.py:1\)$"),
        ("import nobody_has_it", r"No module named 'nobody_has_it' \(.*inference\.py:1\)$"),
        ("def input_handler(data, context): pass", "expected a function handler, or both"),
    ],
)
def test_code_that_cannot_be_used_is_the_users_mistake(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        code(tmp_path, text)


def test_a_models_own_code_goes_before_that_of_all(tmp_path):
    for folder in ("code", "iris/code"):
        (tmp_path / folder).mkdir(parents=True)
        text = f"def handler(data, context):\n    return {folder!r}"
        (tmp_path / folder / "inference.py").write_text(text)
    predictor: Any = Predictor()
    handlers = Handlers(predictor=predictor, port=1, max_queue=9)
    handlers.load(tmp_path)
    found = [handlers.of(name) for name in ("digits", "iris")]
    assert [asked(user)[1] for user in found if user] == [b"code", b"iris/code"]
    assert not handlers.calling
