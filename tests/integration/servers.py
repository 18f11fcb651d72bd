"""A real server process, and a client for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import warm
from processes import environment, trainer

SECONDS = 120.0
PREDICT = "/v1/models/model:predict"


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        status: Of HTTP.
        headers: With names in lower case.
        body: As it came.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as what it says."""
        return json.loads(self.body)


class Server:
    """A process of `trainer serve` at a free port."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.log: list[str] = []
        self.lines: list[str] = []
        self.process = warm.Popen(
            argv, env=environment(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._told = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.log))
        ]
        for reader in self._readers:
            reader.start()
        self.port = int(self.wait_for("trainer: serving").split(" at port ")[1].split()[0])

    def _read(self, stream, lines: list[str]) -> None:
        for line in stream:
            with self._told:
                lines.append(line.rstrip("\n"))
                self._told.notify_all()

    def wait_for(self, begin: str) -> str:
        """The first line of the server's log that begins so."""
        return self._wait(lambda: next((x for x in self.log if x.startswith(begin)), ""))

    def access(self, **fields: object) -> dict[str, Any]:
        """The first line of the access log with these fields."""

        def found() -> dict[str, Any]:
            lines = map(json.loads, self.lines)
            return next((x for x in lines if fields.items() <= x.items()), {})

        return self._wait(found)

    def _wait(self, look) -> Any:
        until = time.monotonic() + SECONDS
        with self._told:
            while not (found := look()):
                ended = self.process.poll() is not None
                left = until - time.monotonic()
                if left <= 0 or (ended and not any(r.is_alive() for r in self._readers)):
                    raise AssertionError(f"never told; the log: {self.log}")
                self._told.wait(min(left, 0.2))
        return found

    def connect(self) -> http.client.HTTPConnection:
        """A connection of its own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Reply:
        """Send one request; a body that is not bytes goes as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        own = connection or self.connect()
        try:
            own.request(method, path, body, dict(headers or {}))
            response = own.getresponse()
            plain = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, plain, response.read())
        finally:
            if connection is None:
                own.close()

    def get(self, path: str, **headers: str) -> Reply:
        """Get a path."""
        return self.ask("GET", path, headers=headers)

    def post(
        self, path: str, body: object, kind: str = "application/json", **headers: str
    ) -> Reply:
        """Post a body."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, {"Content-Type": kind} | more)

    def until(self, look) -> Any:
        """What `look` gives, as soon as it gives something."""
        end = time.monotonic() + SECONDS
        while not (found := look()):
            assert time.monotonic() < end, f"never came; the log: {self.log}"
            time.sleep(0.02)
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=SECONDS)
        for reader in self._readers:
            reader.join(timeout=SECONDS)
        return code


@contextlib.contextmanager
def serving(folder: Path, *argv: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Serve a model folder while a block runs."""
    told = ["--model-dir", str(folder), "--host", "127.0.0.1", "--port", "0", "--linger", "0"]
    server = Server([sys.executable, "-m", "trainer", "serve", *told, *argv], env or {})
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait(timeout=SECONDS)


@pytest.fixture(scope="session")
def digits_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a short run: one version."""
    folder = tmp_path_factory.mktemp("digits") / "model"
    ran = trainer("train", "--model", "fast", "--steps", "20", "--model-dir", str(folder))
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture(scope="session")
def server(digits_model: Path) -> Iterator[Server]:
    """One server of that model, for tests that leave it as it is."""
    with serving(digits_model, "--max-payload-mb", "2") as running:
        yield running
        assert running.stop() == 0, running.log
