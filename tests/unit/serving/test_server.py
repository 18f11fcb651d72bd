"""A server before it has a model, in this process."""

import http.client
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from trainer.config.errors import UserError
from trainer.serving.server import serve
from trainer.serving.settings import Settings
from trainer.storage.transfer import StoppedError

SECONDS = 30


@pytest.fixture
def settings() -> Settings:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return Settings(model_dir="gs://bucket/model", host="127.0.0.1", port=port, linger=0)


def ping(settings: Settings) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=SECONDS)
    try:
        connection.request("GET", "/ping")
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def test_it_listens_while_remote_models_are_fetched(settings):
    answers: list[tuple[int, bytes]] = []

    def fetched(url: str, into: Path, **more) -> Path:
        assert (url, list(into.iterdir())) == ("gs://bucket/model", [])
        answers.append(ping(settings))
        raise UserError(subject="--model-dir", problem="no such bucket")

    with pytest.raises(UserError, match="no such bucket"):
        serve(settings, fetch=fetched)
    assert answers == [(503, b'{"error":"loading"}')]


def test_stopped_while_it_fetches_it_ends_well_and_leaves_nothing(settings):
    folders: list[Path] = []

    def fetched(url: str, into: Path, *, stopped, **more) -> Path:
        folders.append(into)
        # By now it hears signals.
        assert ping(settings)[0] == 503
        os.kill(os.getpid(), signal.SIGTERM)
        until = time.monotonic() + SECONDS
        while not stopped():
            assert time.monotonic() < until
            time.sleep(0.01)
        (into / "part").write_bytes(b"part")
        raise StoppedError("stopped")

    assert serve(settings, fetch=fetched) == 0
    assert [folder.exists() for folder in folders] == [False]


def test_a_remote_folder_without_a_model_is_a_mistake(settings):
    with pytest.raises(UserError, match="no SavedModel there"):
        serve(settings, fetch=lambda url, into, **more: into)
