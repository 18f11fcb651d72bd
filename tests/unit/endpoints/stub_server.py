"""A server that answers as `trainer serve` does, with a row of zeros for each row, and no model."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from servers import Reply

ROW = {"classes": 1, "probabilities": [0.25, 0.75]}


def rows_in(kind: str, body: bytes) -> int:
    """The rows of a body."""
    if kind == "application/x-npy":
        return len(np.load(io.BytesIO(body)))
    if kind in ("text/csv", "application/jsonlines"):
        return len(body.splitlines())
    return len(json.loads(body)["instances"]) if kind == "application/json" else 1


def answer(kind: str, body: bytes) -> Reply:
    """What a server of a model answers."""
    document = {"predictions": [ROW] * rows_in(kind, body)}
    return Reply(200, {"content-type": "application/json"}, json.dumps(document).encode())


class Stub(ThreadingHTTPServer):
    """The server.

    Attributes:
        reply: Returns status and body for the nth request, None for an answer.
        asked: Path, content type and body of each POST.
        gets: What is answered to GET, by path; 404 for all others.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply: Callable[[int], tuple[int, bytes] | None] = lambda n: None
        self.asked: list[tuple[str, str, bytes]] = []
        metadata = {"metadata": {"class_names": ["no", "yes"], "signature_def": {
            "signature_def": {"images": {"inputs": {"image_bytes": {}}}}}}}  # fmt: skip
        self.gets: dict[str, object] = {
            "/ping": {}, "/execution-parameters": {}, "/v1/models/model/metadata": metadata,
            "/v1/models/model": {},
        }  # fmt: skip

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Its url."""
        return f"http://127.0.0.1:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_GET(self) -> None:
        found = self.server.gets.get(self.path)
        self._send(404 if found is None else 200, json.dumps(found).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers["Content-Type"]
        self.server.asked.append((self.path, kind, body))
        replied = self.server.reply(len(self.server.asked))
        self._send(*(replied or (200, answer(kind, body).body)))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def stub_server() -> Iterator[Stub]:
    """Serve while a block runs."""
    with Stub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
