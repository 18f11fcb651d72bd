"""Servers in processes of their own, asked over HTTP."""

import base64
import concurrent.futures
import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from processes import environment
from servers import PREDICT, Server, serving

ROOT = Path(__file__).parent.parent.parent
RNG = np.random.default_rng(0)
IMAGES = RNG.random((3, 28, 28, 1)).astype(np.float32)
ROWS = {"instances": IMAGES.tolist()}


@pytest.fixture(scope="module")
def expected(digits_model) -> np.ndarray:
    """What the model gives for the images, called in this process."""
    import tensorflow as tf

    model = tf.saved_model.load(str(digits_model / "1"))
    return model.signatures["serving_default"](image_input=IMAGES)["probabilities"].numpy()


@pytest.fixture(scope="module")
def png() -> bytes:
    """An image as a file."""
    import tensorflow as tf

    return tf.io.encode_png((IMAGES[0] * 255).astype(np.uint8)).numpy()


def probabilities(reply) -> np.ndarray:
    assert reply.status == 200, reply.body
    return np.array([row["probabilities"] for row in reply.json["predictions"]])


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_a_tensorflow_serving_client_is_answered(server, expected):
    # As `curl -d` sends it.
    reply = server.post(PREDICT, ROWS, "application/x-www-form-urlencoded")
    np.testing.assert_allclose(probabilities(reply), expected, atol=1e-5)
    assert reply.headers["content-type"] == "application/json"
    assert [row["classes"] for row in reply.json["predictions"]] == expected.argmax(-1).tolist()
    columns = server.post("/v1/models/model/versions/1:predict", {"inputs": IMAGES.tolist()}).json
    np.testing.assert_allclose(columns["outputs"]["probabilities"], expected, atol=1e-5)
    assert columns["outputs"]["classes"] == expected.argmax(-1).tolist()


def test_states_and_signatures_are_as_tensorflow_serving_does(server):
    available = {"version": "1", "state": "AVAILABLE"}
    ok = {"status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/model", "/v1/models/model/versions/1"):
        assert server.get(path).json == {"model_version_status": [available | ok]}
    metadata = server.get("/v1/models/model/metadata").json
    assert metadata["model_spec"] == {"name": "model", "signature_name": "", "version": "1"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    shape = signature["inputs"]["image_input"]["tensor_shape"]
    assert [dim["size"] for dim in shape["dim"]] == ["-1", "28", "28", "1"]
    assert signature["inputs"]["image_input"]["dtype"] == "DT_FLOAT"
    assert signature["method_name"] == "tensorflow/serving/predict"


def test_every_signature_can_be_asked(server, png):
    encoded = {"b64": base64.b64encode(png).decode()}
    asked = {"signature_name": "serving_bytes", "instances": [encoded, {"image_bytes": encoded}]}
    assert server.post(PREDICT, asked).status == 400
    asked["instances"] = [encoded, encoded]
    assert probabilities(server.post(PREDICT, asked)).shape == (2, 10)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", ROWS),
        ("application/json", ROWS["instances"]),
        ("application/jsonlines", "\n".join(map(json.dumps, ROWS["instances"])).encode()),
        ("application/jsons", " ".join(map(json.dumps, ROWS["instances"])).encode()),
        (
            "text/csv",
            "\n".join(",".join(map(str, row)) for row in IMAGES.reshape(3, -1).tolist()).encode(),
        ),
        ("application/x-npy", npy(IMAGES)),
    ],
    ids=["rows", "list", "jsonlines", "jsons", "csv", "npy"],
)
def test_invocations_take_every_format(server, expected, kind, body):
    reply = server.post("/invocations", body, kind)
    np.testing.assert_allclose(probabilities(reply), expected, atol=1e-5)


@pytest.mark.parametrize("format", ["png", "jpeg"])
def test_invocations_take_images(server, format):
    import tensorflow as tf

    encode = {"png": tf.io.encode_png, "jpeg": tf.io.encode_jpeg}[format]
    body = encode(np.full((90, 60, 3), 255, np.uint8)).numpy()
    assert probabilities(server.post("/invocations", body, f"image/{format}")).shape == (1, 10)


def test_answers_come_in_the_format_that_is_accepted(server, expected):
    def accept(kind: str):
        reply = server.post("/invocations", ROWS, Accept=kind)
        assert reply.headers["content-type"].partition(";")[0] == kind
        return reply.body

    lines = [json.loads(line) for line in accept("application/jsonlines").splitlines()]
    np.testing.assert_allclose([x["probabilities"] for x in lines], expected, atol=1e-5)
    table = np.loadtxt(io.BytesIO(accept("text/csv")), delimiter=",")
    np.testing.assert_allclose(table[:, 1:], expected, atol=1e-5)
    np.testing.assert_allclose(
        np.load(io.BytesIO(accept("application/x-npy")))[:, 1:], expected, atol=1e-5
    )
    assert server.post("/invocations", ROWS, Accept="image/png").status == 406


def test_a_body_may_be_gzipped(server):
    body = gzip.compress(json.dumps(ROWS).encode())
    assert server.post(PREDICT, body, content_encoding="gzip").status == 200


def test_custom_attributes_choose_model_version_and_method(server):
    def ask(attributes: str):
        return server.post(
            "/invocations", ROWS, X_Amzn_SageMaker_Custom_Attributes=attributes, X_Unknown="x"
        )

    assert ask("tfs-model-name=model,tfs-model-version=1,tfs-method=predict").status == 200
    assert ask("tfs-model-version=7").json == {
        "error": "Servable not found for request: Specific(model, 7)"
    }
    assert ask("tfs-model-name=no").status == 404
    assert ":classify is not served here" in ask("tfs-method=classify").json["error"]
    assert ask("tfs-method=drop").status == 400


def test_platforms_can_see_that_it_is_well(server):
    ping = server.get("/ping")
    assert (ping.status, ping.body) == (200, b"")
    assert server.get("/execution-parameters").json == {
        "MaxConcurrentTransforms": 16,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 2,
    }


SQUARE = {"instances": [[[0.0] * 3] * 3]}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (PREDICT, b"", 400, "JSON Parse error: The document is empty"),
        (PREDICT, b'{"instances": [[[', 400, "JSON Parse error"),
        (PREDICT, SQUARE, 400, "expected 4: float32 [-1,28,28,1]"),
        (PREDICT, {"instances": [IMAGES[0, :, :27].tolist()]}, 400, "has shape [1,28,27,1]"),
        (PREDICT, ROWS | {"signature_name": "no"}, 400, '"no" not found in signature def'),
        ("/v1/models/no:predict", ROWS, 404, "Servable not found for request: Latest(no)"),
        ("/v1/models/model/versions/9:predict", ROWS, 404, "Specific(model, 9)"),
        (f"/v1/models/model/versions/{2**64}:predict", ROWS, 400, "Failed to convert version"),
        ("/v1/models/model:drop", ROWS, 400, "Malformed request: POST /v1/models/model:drop"),
        ("/v1/models/model:regress", ROWS, 400, ":regress is not served here"),
        ("/nowhere", ROWS, 404, "Not Found: /nowhere"),
        ("/ping", ROWS, 405, "POST is not allowed here; expected GET, HEAD"),
        ("/invocations", bytes(2**21 + 1), 413, "expected at most 2 MiB"),
    ],
)
def test_a_mistake_has_the_status_that_tensorflow_serving_gives(
    server, path, body, status, message
):
    reply = server.post(path, body)
    assert (reply.status, message in reply.json["error"]) == (status, True), reply.body
    assert list(reply.json) == ["error"]
    assert "\n" not in reply.json["error"]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1/models/no", 404, "Could not find any versions of model no"),
        ("/v1/models/model/versions/9", 404, "Could not find version 9 of model model"),
        ("/v1/models", 400, "Missing model name in request."),
        ("/v1/what", 400, "Malformed request: GET /v1/what"),
        ("/v1/models/no/metadata", 404, "Servable not found for request: Latest(no)"),
        ("/invocations", 405, "expected POST"),
    ],
)
def test_a_mistake_in_a_path_is_named(server, path, status, message):
    reply = server.get(path)
    assert (reply.status, message in reply.json["error"]) == (status, True), reply.body


@pytest.mark.parametrize(
    ("kind", "body", "status", "message"),
    [
        ("application/xml", b"<a/>", 415, "Unsupported Media Type: application/xml"),
        ("text/csv", b"1,2,3", 400, "lines have 3 columns; expected 784"),
        ("application/x-npy", npy(IMAGES)[:-9], 400, "the header calls for 9408"),
        ("application/x-npy", npy(np.full_like(IMAGES, np.nan)), 400, "NaN"),
        ("image/png", b"no image", 400, "the body is no PNG file"),
        ("image/gif", b"GIF89a", 415, "Unsupported Media Type: image/gif"),
    ],
)
def test_a_mistake_in_a_format_is_named(server, kind, body, status, message):
    reply = server.post("/invocations", body, kind)
    assert (reply.status, message in reply.json["error"]) == (status, True), reply.body


def test_half_a_png_is_the_clients_mistake(server, png):
    reply = server.post("/invocations", png[: len(png) // 2], "image/png")
    assert reply.status == 400, reply.body
    assert "Invalid PNG" in reply.json["error"]
    broken = {"b64": base64.b64encode(b"\x89PNG\xff\xfe").decode()}
    asked = {"signature_name": "serving_examples", "instances": [broken]}
    reply = server.post(PREDICT, asked)
    assert (reply.status, "Could not parse example" in reply.json["error"]) == (400, True)


def test_a_lone_bad_request_does_not_spoil_those_it_is_batched_with(server, png):
    def one(body: bytes) -> int:
        return server.post("/invocations", body, "image/png").status

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(one, [png, png[:60]] * 40))
    assert codes == [200, 400] * 40


def test_requests_are_counted_and_logged(server):
    reply = server.ask("POST", f"{PREDICT}?token=secret", ROWS, {"User-Agent": "test"})
    assert reply.status == 200
    line = server.access(path=PREDICT, rows=3, status=200)
    assert {"time", "client", "method", "ms", "bytes", "model", "version"} <= line.keys()
    assert not any("secret" in line for line in server.lines)
    text = server.get("/metrics").body.decode()
    assert 'trainer_requests_total{route="models",status="200"}' in text
    assert 'trainer_model_available{model="model",version="1"} 1.0' in text
    assert "trainer_batch_rows_bucket" in text


def test_the_interface_is_described(server):
    document = server.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    schema = document["paths"][PREDICT]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    names = [each["properties"]["signature_name"]["const"] for each in schema["oneOf"]]
    assert names == ["serving_bytes", "serving_default", "serving_examples"] or set(names) == {
        "serving_bytes", "serving_default", "serving_examples",
    }  # fmt: skip
    for path in document["paths"]:
        if "get" in document["paths"][path]:
            assert server.get(path).status == 200, path


def test_vertex_says_its_own_port_and_routes(digits_model):
    env = {
        "AIP_STORAGE_URI": str(digits_model),
        "AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict",
    }
    with serving(digits_model, env=env) as server:
        assert server.get(env["AIP_HEALTH_ROUTE"]).status == 200
        asked = ROWS | {"parameters": {"any": 1}}
        assert probabilities(server.post(env["AIP_PREDICT_ROUTE"], asked)).shape == (3, 10)
        assert server.stop() == 0


def test_the_images_program_serves_as_sagemaker_starts_it(digits_model, tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {
        "SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2", "AIP_STORAGE_URI": str(digits_model),
    }  # fmt: skip
    server = Server([sys.executable, str(ROOT / "entrypoints/serve"), "serve"], env)
    try:
        assert server.port == port
        assert server.get("/execution-parameters").json == {
            "MaxConcurrentTransforms": 2, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 6,
        }  # fmt: skip
    finally:
        assert server.stop() == 0


def write_model(path: Path, *, factor: float) -> None:
    """A SavedModel that multiplies; like a trainer's, it appears when it is whole."""
    import tensorflow as tf

    holder = tf.Module()
    holder.factor = tf.Variable(float(factor))

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="x")])
    def call(x):
        return {"y": x * holder.factor}

    part = path.with_name(f".{path.name}.part")
    tf.saved_model.save(holder, str(part), signatures=call)
    part.rename(path)


def busy_model(path: Path) -> None:
    """A SavedModel whose answer takes long: without Python, so that any server can run it."""
    import tensorflow as tf

    holder = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32, name="rounds")])
    def call(rounds):
        size = tf.reduce_max(rounds)
        step = lambda i, m: (i + 1, tf.linalg.matmul(m, m) / 100.0)  # noqa: E731
        start = (tf.constant(0), tf.ones((100, 100)))
        _, matrix = tf.while_loop(lambda i, m: i < size, step, start)
        return {"y": tf.cast(rounds, tf.float32) + 0 * matrix[0, 0]}

    tf.saved_model.save(holder, str(path), signatures=call)


def across_rows(path: Path) -> None:
    """A SavedModel with signatures whose answer for a row depends on the others, but for one."""
    import tensorflow as tf

    spec = tf.TensorSpec((None,), tf.float32, name="x")
    functions = {
        "share": lambda x: {"y": x / tf.reduce_sum(x)},
        "rank": lambda x: {"y": tf.argsort(tf.argsort(x))},
        "centred": lambda x: {"y": x - tf.reduce_mean(x)},
        "double": lambda x: {"y": x * 2},
    }
    signatures = {n: tf.function(f, input_signature=[spec]) for n, f in functions.items()}
    tf.saved_model.save(tf.Module(), str(path), signatures=signatures)


# On any machine far longer than the tests that use it need, and far shorter than their deadlines.
LONG = {"instances": [100_000]}


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory) -> Path:
    """A folder with a model that computes for seconds where it is asked to."""
    folder = tmp_path_factory.mktemp("slow")
    busy_model(folder / "1")
    return folder


def test_a_new_version_is_served_and_the_oldest_is_let_go_of(tmp_path):
    write_model(tmp_path / "1", factor=1)
    with serving(tmp_path, "--poll", "0.05", "--versions", "2") as server:
        asked = {"instances": [[1, 2]]}

        def answer(path: str = PREDICT) -> list:
            reply = server.post(path, asked)
            assert reply.status == 200, reply.body
            return reply.json["predictions"][0]

        assert answer() == [1, 2]
        codes: list[int] = []
        stop = threading.Event()

        def load() -> None:
            connection = server.connect()
            while not stop.is_set():
                codes.append(server.ask("POST", PREDICT, asked, {}, connection).status)

        thread = threading.Thread(target=load)
        thread.start()
        write_model(tmp_path / "2", factor=10)
        server.until(lambda: answer() == [10, 20])
        assert answer("/v1/models/model/versions/1:predict") == [1, 2]
        write_model(tmp_path / "3", factor=100)
        server.wait_for("trainer: let go of model/1")
        stop.set()
        thread.join(timeout=60)
        assert answer() == [100, 200]
        assert set(codes) == {200}
        assert server.post("/v1/models/model/versions/1:predict", asked).status == 404
        shown = server.get("/metrics").body.decode()
        # Labels of what has gone would be more and more.
        assert 'trainer_model_available{model="model",version="3"} 1.0' in shown
        assert 'version="1"' not in shown
        states = server.get("/v1/models/model").json["model_version_status"]
        assert [(s["version"], s["state"]) for s in states] == [
            ("3", "AVAILABLE"), ("2", "AVAILABLE"), ("1", "END"),
        ]  # fmt: skip
        # Gone from disk, one of several is let go of; the last one stays.
        shutil.rmtree(tmp_path / "3")
        server.until(lambda: answer() == [10, 20])
        shutil.rmtree(tmp_path / "2")
        assert answer() == [10, 20]


def test_a_version_that_is_being_copied_or_is_broken_is_not_served(tmp_path):
    write_model(tmp_path / "1", factor=1)
    whole = tmp_path / "elsewhere"
    write_model(whole, factor=10)
    shutil.move(whole, tmp_path.parent / "elsewhere")
    whole = tmp_path.parent / "elsewhere"
    with serving(tmp_path, "--poll", "0.05") as server:
        asked = {"instances": [[1, 2]]}
        broken = tmp_path / "3"
        broken.mkdir()
        (broken / "saved_model.pb").write_bytes(b"no model")
        server.wait_for("trainer: cannot load model/3")
        (tmp_path / "2").mkdir()
        shutil.copy(whole / "saved_model.pb", tmp_path / "2")
        (tmp_path / "2/variables").mkdir()
        assert server.post(PREDICT, asked).json["predictions"] == [[1, 2]]
        for file in (whole / "variables").iterdir():
            shutil.copy(file, tmp_path / "2/variables")
        server.until(lambda: server.post(PREDICT, asked).json["predictions"] == [[10, 20]])
        assert (
            server.get("/v1/models/model/versions/3").json["model_version_status"][0]["state"]
            == "END"
        )
        assert server.get("/ping").status == 200


def test_a_model_that_tensorflow_1_has_frozen_is_served(tmp_path):
    import tensorflow as tf

    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 2), name="x")
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": x * 3})
        builder = v1.saved_model.Builder(str(tmp_path / "1"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    assert list((tmp_path / "1/variables").iterdir()) == []
    with serving(tmp_path) as server:
        assert server.post(PREDICT, {"instances": [[1, 2]]}).json == {"predictions": [[3, 6]]}


def test_a_model_without_its_weights_is_reported(tmp_path):
    write_model(tmp_path / "1", factor=3)
    shutil.rmtree(tmp_path / "1/variables")
    (tmp_path / "1/variables").mkdir()
    ran = ended(tmp_path)
    assert ran.returncode == 1
    assert "cannot load model/1: " in ran.stderr
    assert f"no model in {tmp_path} could be loaded" in ran.stderr


def test_several_models_are_served_side_by_side(tmp_path):
    write_model(tmp_path / "twice" / "1", factor=2)
    write_model(tmp_path / "thrice" / "5", factor=3)
    with serving(tmp_path, "--model-name", "twice") as server:
        asked = {"instances": [[1, 2]]}
        assert server.post("/v1/models/twice:predict", asked).json == {"predictions": [[2, 4]]}
        assert server.post("/v1/models/thrice:predict", asked).json == {"predictions": [[3, 6]]}
        header = {"X_Amzn_SageMaker_Custom_Attributes": "tfs-model-name=thrice"}
        assert server.post("/invocations", asked, **header).json == {"predictions": [[3, 6]]}
        # `model` is the one that is named as the default.
        assert server.post(PREDICT, asked).json == {"predictions": [[2, 4]]}


@pytest.mark.parametrize(
    ("argv", "env", "joined"),
    [
        ([], {}, False),
        (["--batching", "--batch-wait-ms", "20"], {}, True),
        (["--batch-wait-ms", "20"], {"SAGEMAKER_TFS_ENABLE_BATCHING": "true"}, True),
        ([], {"SAGEMAKER_TFS_ENABLE_BATCHING": "false"}, False),
        (["--max-batch", "1"], {}, False),
    ],
)
def test_an_answer_does_not_change_with_what_others_ask(tmp_path, argv, env, joined):
    across_rows(tmp_path / "1")
    right = {
        "share": lambda x: x / x.sum(),
        "rank": lambda x: x.argsort().argsort(),
        "centred": lambda x: x - x.mean(),
        "double": lambda x: x * 2,
    }
    asked = [(name, RNG.permutation(count)) for name in right for count in (1, 2, 3, 130)] * 4
    with serving(tmp_path, *argv, env=env) as server:

        def one(pair) -> None:
            name, rows = pair
            rows = rows.astype(np.float32) + 1
            reply = server.post(PREDICT, {"signature_name": name, "instances": rows.tolist()})
            np.testing.assert_allclose(reply.json["predictions"], right[name](rows), rtol=1e-4)

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(one, asked))
        calls = server.get("/metrics").body.decode().partition("trainer_batch_rows_count")[2]
        count = float(calls.split("\n")[0].split()[1])
        assert (count < len(asked)) is joined
        lines = [line for line in server.log if "is not batched" in line]
        assert len(lines) == (3 if joined else 0)


def test_a_full_queue_is_503_and_says_when_to_come_back(slow_model):
    with serving(slow_model, "--max-queue", "2", "--max-batch", "1") as server:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            first = [pool.submit(server.post, PREDICT, LONG) for _ in range(2)]
            server.until(lambda: b'version="1"} 2.0' in server.get("/metrics").body)
            refused = server.post(PREDICT, {"instances": [1]})
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert "requests are waiting already" in refused.json["error"]
            assert server.get("/ping").status == 200
            assert [f.result().status for f in first] == [200, 200]
        assert server.post(PREDICT, {"instances": [1]}).status == 200


def test_what_clients_no_longer_wait_for_leaves_the_queue(slow_model):
    with serving(slow_model, "--max-queue", "3", "--max-batch", "1") as server:
        connections = [server.connect() for _ in range(3)]
        for connection in connections:
            connection.request("POST", PREDICT, json.dumps(LONG))
        server.until(lambda: b'version="1"} 3.0' in server.get("/metrics").body)
        for connection in connections:
            connection.close()
        server.until(lambda: b'version="1"} 0.0' in server.get("/metrics").body)
        assert server.post(PREDICT, {"instances": [1]}).status == 200
        # The one that was under way, and this one.
        assert b'trainer_batch_rows_count{model="model"} 2.0' in server.get("/metrics").body
        assert server.access(status=499)["path"] == PREDICT


def test_a_request_that_takes_too_long_is_504_and_a_slow_body_408(slow_model):
    with serving(slow_model, "--timeout", "0.3") as server:
        late = server.post(PREDICT, {"instances": [1_000_000]})
        assert (late.status, late.json) == (504, {"error": "no answer within 0.3 s"})
        connection = server.connect()
        connection.putrequest("POST", PREDICT)
        connection.putheader("Content-Length", "100")
        connection.endheaders(b"{")
        reply = connection.getresponse()
        assert (reply.status, reply.headers["connection"]) == (408, "close")
        connection.close()
        server.process.kill()


def test_at_sigterm_it_answers_what_is_under_way_and_ends_well(slow_model):
    with serving(slow_model, "--linger", "1") as server:
        ping = server.connect()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            under_way = pool.submit(server.post, PREDICT, LONG)
            server.until(lambda: b'version="1"} 1.0' in server.get("/metrics").body)
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("trainer: SIGTERM")
            reply = server.ask("GET", "/ping", connection=ping)
            assert (reply.status, reply.headers["connection"]) == (503, "close")
            assert under_way.result().status == 200
        assert server.process.wait(timeout=60) == 0
        with pytest.raises(OSError):
            server.get("/ping")


@pytest.mark.parametrize("grace", [True, False])
def test_a_second_signal_or_the_end_of_the_grace_period_ends_it_at_once(slow_model, grace):
    seconds = "1" if grace else "60"
    with (
        serving(slow_model, "--grace", seconds) as server,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        under_way = pool.submit(server.post, PREDICT, {"instances": [10_000_000]})
        server.until(lambda: b'version="1"} 1.0' in server.get("/metrics").body)
        server.process.send_signal(signal.SIGINT)
        server.wait_for("trainer: SIGINT")
        if not grace:
            server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=30) == 0
        reply = under_way.result()
        assert (reply.status, reply.headers["connection"]) == (503, "close")
        assert "ended before the answer" in reply.json["error"]


INPUT_OUTPUT = """
import json

def input_handler(data, context):
    if context.request_content_type != "text/plain":
        raise ValueError("expected text/plain")
    assert context.model_name == "model" and context.method is None
    return json.dumps({"instances": [[float(v) for v in data.read().decode().split()]]})

def output_handler(response, context):
    if not response.ok:
        raise ValueError(response.text)
    return "total=%g" % sum(response.json()["predictions"][0]), "text/plain"
"""
HANDLER = """
import json, urllib.request
from helper import PREFIX

def handler(data, context):
    request = urllib.request.Request(context.rest_uri, data.read())
    with urllib.request.urlopen(request) as answer:
        return PREFIX + answer.read(), context.accept_header
"""


def test_inference_py_stands_before_and_after_the_model(tmp_path):
    write_model(tmp_path / "1", factor=3)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/inference.py").write_text(INPUT_OUTPUT)
    with serving(tmp_path) as server:
        reply = server.post("/invocations", b"1 2", "text/plain")
        assert (reply.status, reply.body) == (200, b"total=9")
        assert reply.headers["content-type"].startswith("text/plain")
        reply = server.post("/invocations", b"1 2", "text/csv")
        assert (reply.status, "expected text/plain" in reply.json["error"]) == (500, True)
        reply = server.post("/invocations", b"1 2 3", "text/plain")
        assert "has shape [1,3]; expected float32 [-1,2]" in reply.json["error"]
        # TensorFlow Serving's own paths know nothing of it.
        assert server.post(PREDICT, {"instances": [[1, 2]]}).json == {"predictions": [[3, 6]]}


def test_a_handler_can_ask_the_model_itself(tmp_path):
    write_model(tmp_path / "1", factor=3)
    (tmp_path / "code/lib").mkdir(parents=True)
    (tmp_path / "code/inference.py").write_text(HANDLER)
    (tmp_path / "code/lib/helper.py").write_text("PREFIX = b'got: '")
    with serving(tmp_path) as server:
        reply = server.post("/invocations", {"instances": [[1, 2]]})
        assert (reply.status, reply.body) == (200, b'got: {"predictions":[[3.0,6.0]]}')


def test_a_handler_that_never_ends_does_not_keep_the_server_from_ending(tmp_path):
    write_model(tmp_path / "1", factor=3)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/inference.py").write_text(
        "import threading\ndef handler(data, context):\n    threading.Event().wait()"
    )
    with serving(tmp_path, "--timeout", "0.2", "--grace", "1") as server:
        assert server.post("/invocations", {"instances": [[1, 2]]}).status == 504
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=30) == 0


# Makes a wheel without any tool, so that nothing has to be downloaded for it.
WHEEL = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name, info = "wanted-1-py3-none-any.whl", "wanted-1.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("wanted.py", "TEXT = 'found'")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: wanted\\nVersion: 1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
# Says that it has begun, and never ends.
ENDLESS = """
import pathlib, threading

def build_wheel(folder, config_settings=None, metadata_directory=None):
    pathlib.Path("begun").touch()
    threading.Event().wait()
"""


def model_that_requires(folder: Path, backend: str) -> Path:
    """A model folder whose code requires a package that is made so; its path."""
    package, code = folder / "package", folder / "model/code"
    package.mkdir()
    code.mkdir(parents=True)
    write_model(folder / "model/1", factor=3)
    (package / "backend.py").write_text(backend)
    (package / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']"
    )
    (code / "requirements.txt").write_text(f"{package}\n")
    text = "import wanted\ndef handler(data, context):\n    return wanted.TEXT"
    (code / "inference.py").write_text(text)
    return folder / "model"


def test_what_code_requires_is_installed_at_the_start(tmp_path):
    model, target = model_that_requires(tmp_path, WHEEL), str(tmp_path / "installed")
    env = {"PIP_TARGET": target, "PYTHONPATH": target, "PIP_NO_INDEX": "1"}
    with serving(model, env=env) as server:
        assert server.post("/invocations", b"").body == b"found"
        assert any("pip installs requirements.txt" in line for line in server.log)
        # Standard output is for the access log alone.
        assert all(map(json.loads, server.lines))
        assert server.stop() == 0


def test_requirements_that_cannot_be_had_are_the_users_mistake(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    model = model_that_requires(tmp_path, WHEEL)
    (model / "code/requirements.txt").write_text("nowhere-to-be-had==1\n")
    ran = ended(model)
    assert ran.returncode == 2
    assert "trainer: error: requirements.txt line 1 (nowhere-to-be-had==1): pip" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_stopped_while_pip_runs_it_ends_pip_too(tmp_path):
    model = model_that_requires(tmp_path, ENDLESS)
    command = [sys.executable, "-m", "trainer", "serve", "--model-dir", str(model)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--linger", "0"], env=environment({"PIP_NO_INDEX": "1"}),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not (tmp_path / "package/begun").exists():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        process.terminate()
        # Whatever could still write to it has ended when this is at its end.
        text, _ = process.communicate(timeout=60)
        assert process.returncode == 0, text
    finally:
        process.kill()
        process.wait()


def ended(folder: Path, *argv: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "trainer", "serve", "--model-dir", str(folder), "--port", "0"]
    return subprocess.run(
        [*command, *argv], capture_output=True, text=True, timeout=120, env=environment(),
        check=False,
    )  # fmt: skip


def test_code_that_cannot_be_imported_is_the_users_mistake(tmp_path):
    write_model(tmp_path / "1", factor=3)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/inference.py").write_text("import nowhere")
    ran = ended(tmp_path)
    assert ran.returncode == 2
    assert "inference.py: it cannot be imported: ModuleNotFoundError: No module" in ran.stderr


def test_a_folder_of_broken_models_is_a_failure(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1/saved_model.pb").write_bytes(b"broken")
    ran = ended(tmp_path)
    assert ran.returncode == 1
    assert f"no model in {tmp_path} could be loaded" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 1.0, 2.0])
def test_stopped_while_it_starts_it_ends_well(digits_model, seconds):
    argv = [sys.executable, "-m", "trainer", "serve", "--model-dir", str(digits_model)]
    process = subprocess.Popen([*argv, "--port", "0", "--linger", "0"], env=environment())
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3 + seconds)
    process.terminate()
    # 143 before it hears for itself.
    assert process.wait(timeout=60) in (0, 143, -signal.SIGTERM)


def test_it_listens_before_it_is_ready(digits_model):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "trainer", "serve", "--model-dir", str(digits_model)]
    argv += ["--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, env=environment())
    try:
        codes: list[int] = []
        end = time.monotonic() + 60
        while 200 not in codes:
            assert time.monotonic() < end
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    connection.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
                    codes.append(int(connection.recv(100).split()[1]))
            except (ConnectionError, IndexError):
                continue
        assert codes[0] == 503
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def commands() -> list[str]:
    """The commands of docs/serving.md that ask a server."""
    lines = (ROOT / "docs/serving.md").read_text().splitlines()
    return [line for line in lines if line.startswith("curl ")]


@pytest.mark.parametrize("command", commands())
def test_the_documented_commands_work(server, tmp_path, png, command):
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS["instances"])))
    np.savetxt(tmp_path / "rows.csv", IMAGES.reshape(3, -1), delimiter=",")
    np.save(tmp_path / "rows.npy", IMAGES)
    (tmp_path / "digit.png").write_bytes(png)
    at = command.replace("curl ", "curl -sSf ").replace(
        "localhost:8080", f"127.0.0.1:{server.port}"
    )
    ran = subprocess.run(
        at, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout or "/ping" in command


def test_a_gpu_that_is_there_and_not_used_is_reported_and_requests_are_answered(digits_model):
    with serving(digits_model, env={"NVIDIA_VISIBLE_DEVICES": "0"}) as server:
        line = server.wait_for("trainer: warning: ")
        assert "a GPU is there (NVIDIA_VISIBLE_DEVICES=0), but TensorFlow finds none: " in line
        assert line.endswith("; requests are computed on the CPU")
        assert server.get("/ping").status == 200
