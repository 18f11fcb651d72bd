"""Thousands of requests of all kinds: no 5xx, and no memory that grows."""

from __future__ import annotations

import base64
import copy
import http.client
import io
import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from servers import PREDICT, Server

REQUESTS = 2_500
# What a server may grow by in the second half, less than the bodies of so many requests: caches of
# shapes and of allocators.
GROWTH = 4 * 2**20  # bytes
NEVER = set(range(500, 600))

IMAGE = np.linspace(0, 1, 784, dtype=np.float32).reshape(28, 28, 1).round(4)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


ENCODED = {"b64": base64.b64encode(PNG).decode()}
DOCUMENTS = [
    {"instances": [IMAGE.tolist()]},
    {"instances": [{"image_input": IMAGE.tolist()}]},
    {"inputs": IMAGE[None].tolist()},
    {"signature_name": "serving_bytes", "instances": [ENCODED, ENCODED]},
    {"signature_name": "serving_examples", "instances": [ENCODED]},
    IMAGE.tolist(),
]
BODIES = [
    ("application/json", *(json.dumps(document).encode() for document in DOCUMENTS)),
    ("application/jsonlines", json.dumps(IMAGE.tolist()).encode() * 2),
    ("text/csv", ",".join(map(str, IMAGE.ravel())).encode()),
    ("application/x-npy", npy(IMAGE), npy(IMAGE[None])),
    ("image/png", PNG),
    ("image/jpeg", b"\xff\xd8\xff\xe0"),
    ("application/octet-stream", b"\0"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)
PATHS = st.sampled_from(
    [
        *(PREDICT, "/invocations", "/v1/models/model/versions/1:predict") * 4,
        "/v1/models/model", "/v1/models/model/metadata", "/v1/models/model:classify", "/ping", "/",
        "/v1/models/model/versions/2:predict", "/v1/models//:predict", "/%ff", "/metrics",
        "/v1/models/%2e%2e:predict", "/openapi.json", "/execution-parameters", "/v1/%00",
    ]
)  # fmt: skip
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Accept": st.sampled_from(
            ["text/csv", "application/x-npy", "application/jsonlines", "*/*", "text/html", ";q=x,"]
        ),
        "Content-Encoding": st.sampled_from(["gzip", "identity", "br"]),
        "X-Amzn-SageMaker-Custom-Attributes": st.sampled_from(
            [
                "tfs-model-name=model", "tfs-model-version=1", "tfs-model-version=x", "tfs-=,=",
                "tfs-method=regress", "tfs-signature-name=serving_bytes", "tfs-model-name=é",
            ]
        ),
    },
)  # fmt: skip


@st.composite
def bodies(draw) -> tuple[str, bytes]:
    """A good body, a damaged one, or something else altogether."""
    kind, *good = draw(st.sampled_from(BODIES))
    body = draw(st.sampled_from(good))
    how = draw(st.integers(0, 5))
    if how == 0:
        return kind, body
    if how == 1:
        return kind, body[: draw(st.integers(0, len(body)))]
    if how == 2:
        return kind, draw(st.binary(max_size=200))
    if how == 3:
        document = {"instances": draw(VALUES), "inputs": draw(VALUES)}
        for key in draw(st.sets(st.sampled_from(sorted(document)), max_size=1)):
            del document[key]
        name = draw(st.sampled_from([None, "serving_bytes", "serving_examples", "no", 1]))
        if name is not None:
            document["signature_name"] = name
        return "application/json", json.dumps(document).encode("utf-8", "surrogatepass")
    if how == 4:
        return "application/json", json.dumps(damaged(draw)).encode("utf-8", "surrogatepass")
    # Some bytes changed.
    changed = bytearray(body)
    for _ in range(draw(st.integers(1, 4))):
        if changed:
            changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    return kind, bytes(changed)


def damaged(draw) -> object:
    """A good document in which one value, somewhere, is another."""
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    at, value = document, draw(VALUES)
    for _ in range(draw(st.integers(0, 4))):
        keys = list(at) if isinstance(at, dict) else range(len(at))
        key = draw(st.sampled_from(list(keys)))
        if not isinstance(at[key], (dict, list)) or not at[key]:
            break
        above, at = at, at[key]
        last = key
    else:
        if at is document:
            return value
        above[last] = value
        return document
    at[key] = value
    return document


def memory(server: Server) -> int:
    """Bytes of memory that the server's process has."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


@pytest.fixture
def counts() -> Iterator[Counter]:
    """How often each status came; printed where a test fails."""
    found: Counter = Counter()
    yield found
    print(sorted(found.items()))


def test_no_request_makes_it_fail_or_grow(server: Server, counts: Counter):
    half: list[int] = []
    connection = server.connect()

    @hypothesis.settings(
        max_examples=REQUESTS,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(
        st.sampled_from(["POST"] * 8 + ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"]),
        PATHS,
        bodies(),
        HEADERS,
    )
    def ask(method, path, body, headers):
        kind, content = body
        encoded = {k: v.encode("latin-1") for k, v in headers.items()}
        try:
            reply = server.ask(method, path, content, {"Content-Type": kind} | encoded, connection)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # The server closes connections after some errors, with `connection: close`.
            connection.close()
            return
        if reply.headers.get("connection") == "close":
            connection.close()
        counts[reply.status] += 1
        assert reply.status not in NEVER, (reply, content[:300])
        if reply.status >= 400 and method != "HEAD":
            assert list(reply.json) == ["error"], reply
            assert "\n" not in reply.json["error"], reply
        if sum(counts.values()) == REQUESTS // 2:
            half.append(memory(server))

    ask()
    assert sum(counts.values()) >= 2_000
    # Not all of it was nonsense.
    assert counts[200] > 100
    assert counts[400] > 300
    assert server.get("/ping").status == 200
    assert memory(server) - half[0] < GROWTH


def test_what_is_no_http_does_not_disturb_it(server: Server):
    noise = random.Random(0)
    for _ in range(200):
        begin = noise.choice([b"", b"POST /invocations HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: "])
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(begin + noise.randbytes(noise.randrange(200)))
    assert server.get("/ping").status == 200
