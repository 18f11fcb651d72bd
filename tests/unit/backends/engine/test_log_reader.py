"""Lines that the containers of a job print, as a client hands them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.backends.engine.client import Engine
from trainer.backends.engine.log_reader import EngineLogReader
from trainer.config.errors import UserError

# Prints the file of a container from a time on, as `docker logs` does.
CLIENT = """#!/bin/sh
for name; do :; done
[ -e "$(dirname "$0")/$name" ] || { echo "Error: No such container: $name" >&2; exit 1; }
cat "$(dirname "$0")/$name"
"""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    client = tmp_path / "docker"
    client.write_text(CLIENT)
    client.chmod(0o755)
    return Engine(str(client))


def stamp(second: float) -> str:
    return f"2026-01-01T00:00:{second:09.6f}000Z"


def test_each_line_is_returned_once_as_the_output_grows(engine, tmp_path):
    file = tmp_path / "job"
    file.write_text(f"{stamp(1)} one\n{stamp(1)} one\n")
    reader = EngineLogReader(engine, {"": "job"})
    assert [line.text for line in reader.read()] == ["one", "one"]
    assert reader.read() == []
    with file.open("a") as more:
        more.write(f"{stamp(1)} one\n{stamp(2)} two\n")
    assert [line.text for line in reader.read()] == ["one", "two"]
    assert reader.read() == []


def test_a_line_of_the_other_stream_that_is_stored_late_is_returned(engine, tmp_path):
    file = tmp_path / "job"
    file.write_text(f"{stamp(5)} later\n")
    reader = EngineLogReader(engine, {"": "job"})
    assert [line.text for line in reader.read()] == ["later"]
    file.write_text(f"{stamp(4.5)} earlier\n{stamp(5)} later\n")
    assert [line.text for line in reader.read()] == ["earlier"]


def test_lines_of_hosts_are_marked_once_and_come_in_order(engine, tmp_path):
    (tmp_path / "a").write_text(f"{stamp(2)} plain\n")
    (tmp_path / "b").write_text(f"{stamp(1)} [host-b rank 0] marked\n")
    lines = EngineLogReader(engine, {"host-a": "a", "host-b": "b"}).read()
    assert [(line.host, line.text) for line in lines] == [
        ("", "[host-b rank 0] marked"),
        ("host-a", "plain"),
    ]


def test_a_container_that_is_gone_is_one_line(engine):
    with pytest.raises(UserError, match="container gone: the engine has none of this name"):
        EngineLogReader(engine, {"": "gone"}).read()
