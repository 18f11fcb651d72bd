"""Passing on what processes print, line by line, whole lines only, at once."""

from __future__ import annotations

import contextlib
import os
import select
from collections import deque
from collections.abc import Callable
from typing import IO

# A longer line is passed on in parts of this size, each a line.
LONGEST = 256 * 1024
# What may wait to be written before the children that write it have to wait too.
_WAITING = 1024 * 1024
_READ = 64 * 1024
# Of a line that is kept to tell the cause of a failure.
_KEPT = 2000


class Sink:
    """Writes lines to a file descriptor, and never waits for whoever reads it.

    A pipe that poll(2) calls writable takes PIPE_BUF bytes without blocking, and as one piece:
    no more is written at a time, so that a log driver that hangs cannot keep signals from being
    heard, and the descriptor, which others may share, need not be made non-blocking.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.problem: OSError | None = None
        # Lines that were not even put in, as so much waited; mentioned when it flows again.
        self.dropped = 0
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._chunk = memoryview(b"")

    @property
    def waiting(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._chunk or self._lines)

    @property
    def full(self) -> bool:
        """Whether so much waits that no more should be put in."""
        return self._size > _WAITING

    def put(self, line: bytes) -> None:
        """Take a line; it is written later."""
        if self.problem is None:
            self._lines.append(line)
            self._size += len(line)

    def write(self) -> None:
        """Write what may be written now; to be called when the descriptor is writable."""
        if not self._chunk:
            self._chunk = memoryview(self._next())
        try:
            written = os.write(self.fd, self._chunk[: select.PIPE_BUF])
        except BlockingIOError:
            return
        except OSError as error:
            # Whoever reads it has gone, or the disk is full: the children go on all the same.
            self.problem = error
            self._lines.clear()
            self._chunk = memoryview(b"")
            self._size = 0
            return
        self._chunk = self._chunk[written:]
        self._size -= written
        if self.dropped and not self.waiting:
            self.put(not_read(self.dropped))
            self.dropped = 0

    def give_up(self) -> int:
        """Drop what waits; return how many lines were lost since that was mentioned last."""
        rest = [bytes(self._chunk), *self._lines] if self.problem is None else []
        lost = self.dropped + sum(piece.count(b"\n") for piece in rest)
        self._lines.clear()
        self._chunk = memoryview(b"")
        self._size = self.dropped = 0
        return lost

    def _next(self) -> bytes:
        """The next lines that fit into one piece, or a single one that does not."""
        lines = [self._lines.popleft()]
        size = len(lines[0])
        while self._lines and size + len(self._lines[0]) <= select.PIPE_BUF:
            size += len(self._lines[0])
            lines.append(self._lines.popleft())
        return b"".join(lines)


def not_read(count: int, *, name: str = "the output") -> bytes:
    """Return the line that mentions lines which nobody has read."""
    lines = "1 line was" if count == 1 else f"{count} lines were"
    return f"trainer: warning: {lines} dropped, as nobody read {name}\n".encode()


def sinks(out: int, err: int) -> tuple[Sink, Sink]:
    """Sinks of standard output and standard error: one and the same where both go to one place."""
    first = Sink(out)
    with contextlib.suppress(OSError):
        one, other = os.fstat(out), os.fstat(err)
        if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
            return first, first
    return first, Sink(err)


class Source:
    """One output of one process, cut into lines.

    A carriage return ends a line too, so that progress bars are passed on as they move. With a
    name before each line it becomes a line feed: the lines of several processes do not overwrite
    each other.

    Args:
        pipe: Its reading end; closed at the end.
        sink: Where the lines go.
        name: Put before each line as `[name] `; empty for none.
        keep: Called with each line, without its end; progress is not.
    """

    def __init__(
        self, pipe: IO[bytes], *, sink: Sink, name: str, keep: Callable[[str], None]
    ) -> None:
        self.fd = pipe.fileno()
        os.set_blocking(self.fd, False)
        self.sink = sink
        self._pipe = pipe
        self._prefix = f"[{name}] ".encode() if name else b""
        self._keep = keep
        self._rest = b""
        self._cut = False

    @property
    def open(self) -> bool:
        """Whether its end has not been reached."""
        return not self._pipe.closed

    def read(self) -> bool:
        """Read once.

        Returns:
            Whether there may be more to read now.
        """
        try:
            data = os.read(self.fd, _READ)
        except BlockingIOError:
            return False
        if not data:
            self.close()
            return False
        self._take(data)
        return True

    def close(self) -> None:
        """Pass on a last line that has no end, and close the pipe."""
        if self.open:
            self._pipe.close()
            if self._rest:
                self._pass(self._rest + b"\n")

    def _take(self, data: bytes) -> None:
        if self._cut and data.startswith(b"\n"):
            # One line end, cut in two by where the reading stopped.
            data = data[1:]
            if not self._prefix:
                self.sink.put(b"\n")
        self._cut = data.endswith(b"\r")
        lines = (self._rest + data).splitlines(keepends=True)
        self._rest = lines.pop() if lines and not lines[-1].endswith((b"\n", b"\r")) else b""
        for line in lines:
            self._pass(line)
        while len(self._rest) > LONGEST:
            end = LONGEST
            while self._rest[end] & 0xC0 == 0x80 and end > LONGEST - 4:
                end -= 1
            self._pass(self._rest[:end] + b"\n")
            self._rest = self._rest[end:]

    def _pass(self, line: bytes) -> None:
        text = line.rstrip(b"\r\n")
        progress = line.endswith(b"\r")
        if not progress:
            self._keep(text[:_KEPT].decode(errors="replace"))
        if not self._prefix:
            self.sink.put(line)
        elif text or not progress:
            self.sink.put(self._prefix + text + b"\n")
