"""The streams of a run on real pipes of this process; those of others are in test_std_streams."""

import errno
import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from trainer.runtime import json_lines, std_streams
from trainer.runtime.std_streams import Streams, guarded_streams, open_missing


@dataclass
class Pipe:
    """A pipe: `reading` is closed by whoever reads it, `writing` at the end."""

    reading: int
    writing: int

    def read(self) -> str:
        """Return all that was written, once nothing more is."""
        os.close(self.writing)
        self.writing = -1
        with os.fdopen(self.reading, "rb") as file:
            self.reading = -1
            return file.read().decode()


@pytest.fixture
def pipes() -> Iterator[list[Pipe]]:
    made = [Pipe(*os.pipe()) for _ in range(2)]
    yield made
    for pipe in made:
        for fd in {pipe.reading, pipe.writing} - {-1}:
            os.close(fd)


def outputs(*fds: int) -> tuple[std_streams._Output, std_streams._Output, Streams]:
    out, err = (std_streams._Output(fd) for fd in fds)
    return out, err, Streams(out, err)


@pytest.fixture
def stalled(monkeypatch) -> None:
    """A reader is given up at once."""
    monkeypatch.setattr(std_streams, "_STALLED", 0.01)


def test_lines_are_written_as_they_come_and_a_rest_at_once(pipes):
    out, _, streams = outputs(*(pipe.writing for pipe in pipes))
    assert out.write(b"one\ntw") == 6
    assert os.read(pipes[0].reading, 100) == b"one\ntw"
    assert out.write(b"o\n") == 2
    streams.close()
    assert (pipes[0].read(), pipes[1].read()) == ("o\n", "")
    assert (out.writable(), out.isatty()) == (True, False)
    assert streams.problem is None


def test_what_a_stuck_reader_leaves_unread_is_dropped_in_whole_lines_and_counted(pipes, stalled):
    out, _, streams = outputs(*(pipe.writing for pipe in pipes))
    assert streams.waits
    streams.never_wait()
    assert not streams.waits
    line = b"x" * 99 + b"\n"
    for _ in range(100_000):
        out.write(line)
    out.write(b"the rest")
    streams.close()
    note = pipes[1].read()
    assert note.startswith("trainer: warning: ") and "lines were dropped, as nobody read" in note
    dropped = int(note.split()[2])
    assert 0 < 100_000 - dropped < 100_000


def test_what_is_reported_of_a_stuck_or_full_output_is_json_where_all_lines_are(pipes, stalled):
    full = os.open("/dev/full", os.O_WRONLY)
    json_lines.switch(True)
    try:
        lost, _, streams = outputs(full, pipes[1].writing)
        streams.never_wait()
        lost.write(b"one\n")
        out, _, stuck = outputs(*(pipe.writing for pipe in pipes))
        stuck.never_wait()
        for _ in range(100_000):
            out.write(b"x" * 99 + b"\n")
        stuck.close()
    finally:
        json_lines.switch(False)
        os.close(full)
    found = [json.loads(line) for line in pipes[1].read().splitlines()]
    assert [line["severity"] for line in found] == ["WARNING", "WARNING"]
    assert "output is lost" in found[0]["message"]
    assert "lines were dropped" in found[1]["message"]


def test_what_waits_is_written_while_it_is_read(pipes):
    out, _, streams = outputs(*(pipe.writing for pipe in pipes))
    streams.never_wait()
    for i in range(2000):
        out.write(b"line %d\n" % i)
    got: list[bytes] = []

    def read() -> None:
        while data := os.read(pipes[0].reading, 65536):
            got.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    streams.close()
    os.close(pipes[0].writing)
    pipes[0].writing = -1
    reader.join()
    assert b"".join(got).splitlines() == [b"line %d" % i for i in range(2000)]
    assert pipes[1].read() == ""


def test_a_reader_that_has_gone_wants_no_report(pipes):
    os.close(pipes[0].reading)
    pipes[0].reading = -1
    out, _, streams = outputs(*(pipe.writing for pipe in pipes))
    streams.never_wait()
    out.write(b"one\n")
    out.write(b"two\n")
    streams.close()
    assert streams.problem is not None and streams.problem.errno == errno.EPIPE
    assert pipes[1].read() == ""


def test_a_full_disk_is_reported_once_on_the_other_stream(pipes):
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        out, _, streams = outputs(full, pipes[1].writing)
        streams.never_wait()
        out.write(b"one\n")
        out.write(b"two\n")
        streams.close()
    finally:
        os.close(full)
    assert streams.problem is not None and streams.problem.errno == errno.ENOSPC
    assert pipes[1].read() == "trainer: warning: output is lost: No space left on device\n"


def interpreters(monkeypatch) -> None:
    """Print to the streams that the interpreter has made, whose descriptors pytest reads."""
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)


def test_what_a_guarded_block_prints_goes_out_and_the_streams_come_back(monkeypatch, capfd):
    interpreters(monkeypatch)
    before = sys.stdout, sys.stderr
    with guarded_streams() as streams, guarded_streams() as inner:
        assert streams is inner is not None
        assert sys.stdout is not before[0]
        print("out")
        print("no such character: \udcff", file=sys.stderr)
        std_streams.draw_bar()
    assert (sys.stdout, sys.stderr) == before
    std_streams.draw_bar()
    assert capfd.readouterr() == ("out\n", "no such character: \\udcff\n")


def test_a_stream_that_a_users_code_has_closed_ends_nothing(monkeypatch, capfd):
    interpreters(monkeypatch)
    with guarded_streams():
        print("out")
        sys.stdout.close()
        sys.stderr = None
    assert capfd.readouterr().out == "out\n"


def test_a_standard_stream_that_is_closed_becomes_the_null_device():
    kept = os.dup(0)
    try:
        os.close(0)
        open_missing()
        assert os.path.samestat(os.fstat(0), Path(os.devnull).stat())
        assert os.get_inheritable(0)
    finally:
        os.dup2(kept, 0)
        os.close(kept)
