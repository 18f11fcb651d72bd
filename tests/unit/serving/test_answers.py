"""A whole server in this process, which is asked once for all tests."""

import base64
import concurrent.futures
import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from trainer.serving.server import serve
from trainer.serving.settings import Settings

pytestmark = pytest.mark.tensorflow

SECONDS = 120
ROWS = {"instances": [[1.0, 2.0], [3.0, 4.0]]}
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
QUESTIONS: dict[str, tuple] = {
    "ping": ("GET", "/ping"),
    "parameters": ("GET", "/execution-parameters"),
    "openapi": ("GET", "/openapi.json"),
    "states": ("GET", "/v1/models/sums"),
    "state": ("GET", "/v1/models/sums/versions/2"),
    "metadata": ("GET", "/v1/models/sums/metadata"),
    "no name": ("GET", "/v1/models/"),
    "no such path": ("GET", "/v1/models/sums/versions/x"),
    "no such version": ("GET", "/v1/models/sums/versions/9"),
    "rows": ("POST", "/v1/models/sums:predict", ROWS),
    "version": ("POST", "/v1/models/sums/versions/1:predict", ROWS),
    "columns": ("POST", "/v1/models/sums:predict", {"inputs": ROWS["instances"]}),
    "text": (
        "POST", "/v1/models/sums:predict",
        {
            "signature_name": "lengths",
            "instances": [{"text": {"b64": base64.b64encode(b"four").decode()}, "more": 3}],
        },
    ),
    "classify": ("POST", "/v1/models/sums:classify", ROWS),
    "malformed": ("POST", "/v1/models/sums", ROWS),
    "shape": ("POST", "/v1/models/sums:predict", {"instances": [[1.0]]}),
    "signature": ("POST", "/v1/models/sums:predict", ROWS | {"signature_name": "no"}),
    "refused": ("POST", "/v1/models/sums:predict", {"instances": [[-1.0, 0.0]]}),
    "invocations": ("POST", "/invocations", ROWS),
    "csv": ("POST", "/invocations", "1,2\n3,4", {"Content-Type": "text/csv"}),
    "by attributes": (
        "POST", "/invocations", ROWS,
        {ATTRIBUTES: "tfs-model-name=sums,tfs-model-version=1,tfs-method=predict"},
    ),
    "a method": ("POST", "/invocations", ROWS, {ATTRIBUTES: "tfs-method=drop"}),
    "metrics": ("GET", "/metrics"),
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Sums(tf.Module):
    """Sums of two numbers, times its version, and lengths of texts."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.factor = tf.Variable(float(version))

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="x")])
    def sums(self, x):
        tf.debugging.assert_non_negative(x, "no debts")
        return {"sum": self.factor * tf.reduce_sum(x, axis=1)}

    @tf.function(
        input_signature=[
            tf.TensorSpec((None,), tf.string, name="text"),
            tf.TensorSpec((None,), tf.int32, name="more"),
        ]
    )
    def lengths(self, text, more):
        length = tf.strings.length(text)
        return {"length": length, "longer": length + more > 6}


def ask(port: int, method: str, path: str, body: Any = None, headers: Any = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} | (headers or {})
        connection.request(method, path, *((data, kind) if method == "POST" else ()))
        reply = connection.getresponse()
        return Answer(reply.status, reply.read())
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    try:
        return ask(port, "GET", "/ping").status == 200
    except ConnectionRefusedError:
        return False


def ask_all(port: int) -> dict[str, Answer]:
    """Ask once it is ready, and end it."""
    until = time.monotonic() + SECONDS
    while not is_ready(port):
        assert time.monotonic() < until
    try:
        return {name: ask(port, *question) for name, question in QUESTIONS.items()}
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def save(folder: Path, version: int) -> None:
    module = Sums(version)
    signatures = {"serving_default": module.sums, "lengths": module.lengths}
    tf.saved_model.save(module, str(folder / str(version)), signatures=signatures)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Answer]]:
    folder = tmp_path_factory.mktemp("models") / "sums"
    for version in (1, 2):
        save(folder, version)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = Settings(
        model_dir=str(folder), model_name="sums", host="127.0.0.1", port=port, linger=0, poll=0
    )
    before = sys.getswitchinterval()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with (
        pytest.MonkeyPatch.context() as patch,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        # It would end this process if a model were still at work.
        patch.setattr(os, "_exit", pytest.fail)
        asked = pool.submit(ask_all, port)
        assert serve(settings) == 0
        yield asked.result()
    sys.setswitchinterval(before)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_it_is_well_and_says_what_suits_batch_transform(answers):
    assert answers["ping"] == Answer(200, b"")
    assert answers["parameters"].json["BatchStrategy"] == "MULTI_RECORD"
    assert answers["parameters"].json["MaxPayloadInMB"] >= 1


def test_states_and_signatures_are_as_tensorflow_serving_has_them(answers):
    state = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    states = [{"version": str(number)} | state for number in (2, 1)]
    assert sorted(answers["states"].json["model_version_status"], key=str) == sorted(
        states, key=str
    )
    assert answers["state"].json == {"model_version_status": [{"version": "2"} | state]}
    metadata = answers["metadata"].json
    assert metadata["model_spec"] == {"name": "sums", "signature_name": "", "version": "2"}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    x = signatures["serving_default"]["inputs"]["x"]
    assert (x["dtype"], [d["size"] for d in x["tensor_shape"]["dim"]]) == ("DT_FLOAT", ["-1", "2"])
    assert signatures["lengths"]["inputs"]["text"]["dtype"] == "DT_STRING"


def test_the_newest_version_answers_unless_another_is_named(answers):
    assert answers["rows"].json == {"predictions": [6.0, 14.0]}
    assert answers["version"].json == {"predictions": [3.0, 7.0]}
    assert answers["columns"].json == {"outputs": [6.0, 14.0]}
    assert answers["invocations"].json == {"predictions": [6.0, 14.0]}
    assert answers["csv"].json == {"predictions": [6.0, 14.0]}
    assert answers["by attributes"].json == {"predictions": [3.0, 7.0]}


def test_every_signature_can_be_asked(answers):
    assert answers["text"].json == {"predictions": [{"length": 4, "longer": True}]}


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("no name", 400, "Missing model name in request."),
        ("no such path", 400, "Malformed request: GET "),
        ("no such version", 404, "Could not find version 9 of model sums"),
        ("classify", 400, ":classify is not served here"),
        ("malformed", 400, "Malformed request: POST "),
        ("shape", 400, ""),
        ("signature", 400, "no"),
        ("refused", 400, "no debts"),
        ("a method", 400, "tfs-method=drop: expected one of predict, classify, regress"),
    ],
)
def test_a_mistake_is_a_line(answers, name, status, text):
    assert answers[name].status == status
    assert text in answers[name].json["error"]


def test_the_document_describes_the_models(answers):
    document = answers["openapi"].json
    assert document["openapi"] == "3.1.0"
    post = document["paths"]["/v1/models/sums:predict"]["post"]
    schema = post["requestBody"]["content"]["application/json"]["schema"]
    by_name = {each["properties"]["signature_name"]["const"]: each for each in schema["oneOf"]}
    rows = by_name["serving_default"]["properties"]["instances"]
    numbers = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    assert rows == {"type": "array", "minItems": 1, "items": numbers}
    assert by_name["serving_default"]["required"] == ["instances"]
    assert by_name["lengths"]["required"] == ["instances", "signature_name"]
    fields = by_name["lengths"]["properties"]["instances"]["items"]["properties"]
    assert (fields["text"]["required"], fields["more"]) == (["b64"], {"type": "integer"})
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["properties"]["predictions"]["items"] == {"type": "number"}
    kinds = document["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert {"text/csv", "application/x-npy"} <= kinds.keys()


def test_requests_are_counted(answers):
    text = answers["metrics"].body.decode()
    assert 'trainer_model_available{model="sums",version="2"} 1' in text
    assert 'trainer_queue_requests{model="sums",version="1"} 0' in text
