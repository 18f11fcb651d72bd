"""The choice between a bar and plain lines, on a real terminal."""

import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from trainer.cli.terminal import begin_bar
from trainer.config import Job

ENV = {"TERM": "xterm"}


@pytest.fixture
def bars(monkeypatch) -> list[int]:
    """The file descriptors on which a bar has begun."""
    found: list[int] = []
    monkeypatch.setattr("trainer.cli.terminal.live_bar.begin", found.append)
    return found


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    """A terminal to print on."""
    leader, follower = os.openpty()
    with os.fdopen(follower, "w", encoding="utf-8") as stdout:
        yield stdout
    os.close(leader)


@pytest.fixture
def begin(monkeypatch):
    """Begins a run that prints on some file."""

    def run(stdout: TextIO, job: Job, env: dict[str, str]) -> None:
        # Here, as pytest sets it, too, between a fixture and its test.
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            begin_bar(job, env)

    return run


def test_a_person_at_a_terminal_gets_a_bar(bars, begin, terminal):
    begin(terminal, Job(), ENV)
    begin(terminal, Job(verbosity="DEBUG"), ENV)
    assert bars == [terminal.fileno(), terminal.fileno()]


@pytest.mark.parametrize(
    ("job", "env"),
    [
        (Job(log_format="json"), ENV),
        (Job(verbosity="WARN"), ENV),
        (Job(), ENV | {"NO_COLOR": "1"}),
        # A cell of a notebook.
        (Job(), ENV | {"JPY_PARENT_PID": "1"}),
        (Job(), {"TERM": "dumb"}),
        (Job(), {}),
    ],
)
def test_whoever_wants_plain_lines_gets_them(bars, begin, terminal, job, env):
    begin(terminal, job, env)
    assert bars == []


def test_an_encoding_without_the_bars_characters_gets_plain_lines(bars, begin, terminal):
    with os.fdopen(os.dup(terminal.fileno()), "w", encoding="latin-1") as stdout:
        begin(stdout, Job(), ENV)
    assert bars == []


def test_a_file_or_pipe_gets_plain_lines(bars, begin):
    begin(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), Job(), ENV)
    assert bars == []
