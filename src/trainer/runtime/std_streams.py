"""Guard a run against a reader of its output that is slow, stuck or gone.

with guarded_streams() as streams:
    streams.never_wait()
    print("a closed, full or stuck output raises nothing")
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, TextIO

from trainer.runtime import live_bar
from trainer.runtime.output_writer import (
    OutputWriter,
    dropped_lines_warning,
    lost_output_warning,
)

# Seconds that a reader may stall at the end, when all else is done, before lines are dropped.
_STALLED = 5.0


class _Output(io.RawIOBase):
    """A file descriptor to which writing never raises.

    Attributes:
        waits: True to wait for a slow reader; False to keep what it leaves unread up to a size, and
            to drop and count the rest.
        other: The stream on which to report that this one is lost. With `waits`, the code that
            writes to this one reports it.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self.waits = True
        self.other: _Output | None = None
        self._writer = OutputWriter(fd)
        # The beginning of a line whose end has not come, while other lines wait before it.
        self._rest = b""
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        # The thread that handles signals logs, too.
        self._lock = threading.RLock()

    @property
    def problem(self) -> OSError | None:
        """The error after which nothing can be written any more, or None."""
        return self._writer.problem

    def fileno(self) -> int:
        return self._writer.fd

    def isatty(self) -> bool:
        return os.isatty(self._writer.fd)

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        raw = bytes(data)  # type: ignore[call-overload]
        with self._lock:
            self._pump()
            # Only whole lines are kept or dropped.
            lines, end, self._rest = (self._rest + raw).rpartition(b"\n")
            if self._writer.full:
                self._writer.dropped += (lines + end).count(b"\n")
            elif end:
                self._writer.put(lines + end)
            self._pump()
            if self._rest and not self._writer.waiting and not live_bar.is_on():
                self._writer.put(self._rest)
                self._rest = b""
                self._pump()
        return len(raw)

    def draw_bar(self) -> None:
        """Draw the bar as it is now."""
        with self._lock:
            self._writer.draw_bar()
            self._pump()

    def drain(self) -> int:
        """Write what waits, as long as it is read; return how many lines are lost."""
        until = time.monotonic() + _STALLED
        with self._lock:
            if self._rest:
                self._writer.put(self._rest)
                self._rest = b""
            self._writer.end_bar()
            while self._writer.waiting and (left := until - time.monotonic()) > 0:
                if self._poll.poll(left * 1000):
                    self._writer.write()
                    until = time.monotonic() + _STALLED
            return self._writer.give_up()

    def _pump(self) -> None:
        while self._writer.waiting and self._poll.poll(None if self.waits else 0):
            self._writer.write()
        problem, other = self._writer.problem, self.other
        if problem and other and not self.waits:
            self.other = None
            # A reader that has closed its end wants no report.
            if problem.errno != errno.EPIPE:
                other.write(lost_output_warning(problem))


class Streams:
    """The standard output and standard error of this process.

    Args:
        out: Where standard output goes.
        err: Where standard error goes.
    """

    def __init__(self, out: _Output, err: _Output) -> None:
        self._out, self._err = out, err
        out.other, err.other = err, out

    @property
    def waits(self) -> bool:
        """True if writing waits for a slow reader, and fails where none is left."""
        return self._out.waits

    @property
    def problem(self) -> OSError | None:
        """The error for which standard output is lost, or None."""
        return self._out.problem

    def never_wait(self) -> None:
        """Go on whether or not anyone reads the output."""
        self._out.waits = self._err.waits = False

    def draw_bar(self) -> None:
        """Draw the bar as it is now."""
        self._out.draw_bar()

    def close(self) -> None:
        """Write what waits; report on the other stream how much is lost."""
        for text in (sys.stdout, sys.stderr):
            # A user's code may have replaced or closed the stream.
            with contextlib.suppress(ValueError, AttributeError):
                text.flush()
        for lost, other, name in (
            (self._out.drain(), self._err, "standard output"),
            (self._err.drain(), self._out, "standard error"),
        ):
            if lost:
                other.write(dropped_lines_warning(lost, name=name))
                other.drain()


def draw_bar() -> None:
    """Draw the bar as it is now, where the streams are guarded."""
    if _streams:
        _streams.draw_bar()


# The streams that are guarded now.
_streams: Streams | None = None


@contextlib.contextmanager
def guarded_streams() -> Iterator[Streams | None]:
    """Guard the standard streams of this process while a block runs.

    Yields:
        The streams, or None if they were replaced before, as a test does.
    """
    global _streams
    if _streams:
        yield _streams
        return
    if sys.stdout is not sys.__stdout__ or sys.stderr is not sys.__stderr__:
        yield None
        return
    before = sys.stdout, sys.stderr
    open_missing()
    out, err = _Output(1), _Output(2)
    sys.stdout = _text(out, like=before[0], errors="strict")
    sys.stderr = _text(err, like=before[1], errors="backslashreplace")
    _streams = Streams(out, err)
    try:
        yield _streams
    finally:
        _streams.close()
        _streams = None
        sys.stdout, sys.stderr = before


def open_missing() -> None:
    """Open `/dev/null` as each standard stream that is closed.

    Otherwise the next file that is opened would become the standard output of other code.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError as error:
            if error.errno == errno.EBADF:
                # open() takes the lowest free number, which is this one.
                os.open(os.devnull, os.O_RDWR)
                os.set_inheritable(fd, True)


def _text(raw: _Output, *, like: TextIO | None, errors: str) -> TextIO:
    errors = getattr(like, "errors", None) or errors
    unbuffered = bool(getattr(like, "write_through", False))
    # With `python -u`: a buffer would hold a line back until it is flushed.
    below: Any = raw if unbuffered else io.BufferedWriter(raw)
    return io.TextIOWrapper(
        below,
        encoding=getattr(like, "encoding", None) or "utf-8",
        # A character that the encoding lacks must not end the run either.
        errors="backslashreplace" if errors == "strict" else errors,
        line_buffering=raw.fileno() == 2 or bool(getattr(like, "line_buffering", False)),
        write_through=unbuffered,
    )
