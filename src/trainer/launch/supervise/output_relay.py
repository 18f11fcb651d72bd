"""Passing on output: from the pipes of all processes to standard output and standard error."""

from __future__ import annotations

import errno
import select
from collections.abc import Iterable

from trainer.launch.supervise.line_reader import LineReader
from trainer.runtime import (
    OutputWriter,
    dropped_lines_warning,
    formatted,
    lost_output_warning,
    output,
    printable,
)


class OutputRelay:
    """The two outputs of this process, as part of a loop that waits for other things too.

    Args:
        out: Writes to standard output.
        err: Writes to standard error; may be the same as `out`.
    """

    def __init__(self, out: OutputWriter, err: OutputWriter) -> None:
        self.out, self.err = out, err

    @property
    def waiting(self) -> bool:
        """True if anything is still to be written."""
        return self.out.waiting or self.err.waiting

    def register(self, poll: select.poll, readers: Iterable[LineReader]) -> None:
        """Have a poll wait for what can be read, and for outputs that can take what waits.

        A reader is left out while its output is full: the process that writes has to wait then.
        """
        for reader in readers:
            if not reader.writer.full:
                poll.register(reader.fd, select.POLLIN)
        for writer in {self.out, self.err}:
            if writer.waiting:
                poll.register(writer.fd, select.POLLOUT)

    def write(self, fd: int) -> None:
        """Write what waits for an output that is ready."""
        writer, other = (self.out, self.err) if fd == self.out.fd else (self.err, self.out)
        writer.write()
        # EPIPE needs no message: the reader of the output has gone.
        if writer.problem is not None and writer.problem.errno != errno.EPIPE:
            other.put(lost_output_warning(writer.problem))

    def log(self, text: str) -> None:
        """Put a line of the launcher's own into standard error."""
        line = f"trainer: {printable(output.clean(text))}"
        self.err.put(f"{formatted(line)}\n".encode())

    def give_up(self, writer: OutputWriter) -> bool:
        """Drop what waits for an output, and mention it on the other one.

        Returns:
            Whether there is a line to write now.
        """
        name, other = (
            ("standard output", self.err) if writer is self.out else ("standard error", self.out)
        )
        lost = writer.give_up()
        if not lost or other is writer or other.waiting:
            return False
        other.put(dropped_lines_warning(lost, name=name))
        return True
