"""Passing on what processes print, line by line, whole lines only, at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import IO

from trainer.runtime import OutputWriter, is_json_line, live_bar, message_of, with_process

# A longer line is passed on in parts of this size, each a line.
LONGEST = 256 * 1024
_READ = 64 * 1024
# The part of a line that is kept, to find the cause of a failure in it.
_KEPT = 2000
# What mpirun puts before each line of a rank.
_TAG = re.compile(rb"\[\d+,(\d+)\]<(?:stdout|stderr|stddiag)>:")


class LineReader:
    """One output of one process, cut into lines.

    A carriage return ends a line too, so that progress bars are passed on as they move. With a
    name before each line it becomes a line feed: the lines of several processes do not overwrite
    each other. A line of JSON of the trainer's own stays one: the name is a field of it, as is the
    rank that mpirun puts before it.

    Args:
        pipe: Its reading end; closed at the end.
        writer: Where the lines go.
        name: Put before each line as `[name] `; empty for none.
        keep: Called with each line, without its end; progress is not.
    """

    def __init__(
        self, pipe: IO[bytes], *, writer: OutputWriter, name: str, keep: Callable[[str], None]
    ) -> None:
        self.fd = pipe.fileno()
        os.set_blocking(self.fd, False)
        self.writer = writer
        self._pipe = pipe
        self._name = name
        self._prefix = f"[{name}] ".encode() if name else b""
        self._keep = keep
        self._rest = b""
        self._cut = False

    @property
    def is_open(self) -> bool:
        """True until the end of the output has been reached."""
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
        if self.is_open:
            self._pipe.close()
            if self._rest:
                self._pass(self._rest + b"\n")

    def _take(self, data: bytes) -> None:
        if self._cut and data.startswith(b"\n"):
            # The line feed of a CRLF whose carriage return ended the last read.
            data = data[1:]
            if not self._prefix:
                self.writer.put(b"\n")
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
        tag = _TAG.match(text)
        if tag and is_json_line(text[tag.end() :]):
            text = text[tag.end() :]
            self._keep(tag[0].decode() + message_of(text)[:_KEPT])
            self.writer.put(with_process(text, f"rank {tag[1].decode()}") + b"\n")
            return
        if not progress:
            self._keep(message_of(text)[:_KEPT])
        if not progress and live_bar.is_on() and live_bar.take(text.decode(errors="replace")):
            self.writer.draw_bar()
        elif not self._prefix:
            self.writer.put(line)
        elif is_json_line(text):
            self.writer.put(with_process(text, self._name) + b"\n")
        elif text or not progress:
            self.writer.put(self._prefix + text + b"\n")
