"""A person at a terminal of a container: types lines, reads what appears, presses Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from types import TracebackType

import pytest
from containers import Engine

ROWS, COLUMNS = 50, 240
ENDED = re.compile(r"<ended (\d+)>")
# Colours, cursor movements and titles.
CONTROLS = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[=>])")


class Terminal:
    """An interactive shell of a running container, with a real terminal.

    Args:
        engine: The client.
        container: The name of the container.
        folder: Where the shell begins.
    """

    def __init__(self, engine: Engine, container: str, folder: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        command = [engine.client, "exec", "-it", "-w", folder, container, "bash", "--norc", "-e"]
        self._process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self._raw = b""
        self._news = threading.Condition()
        self._closed = False
        self._from = 0
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError:
                piece = b""
            with self._news:
                self._raw += piece
                self._closed = not piece
                self._news.notify_all()
            if not piece:
                os.close(self._master)
                return

    @property
    def text(self) -> str:
        """All that has appeared since the last block was typed, without colours."""
        text = self._raw[self._from :].decode(errors="replace")
        return CONTROLS.sub("", text).replace("\r", "\n")

    def type(self, text: str) -> None:
        """Type lines, and do not wait for anything."""
        self._from = len(self._raw)
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self._master, b"\x03")

    def until(self, pattern: re.Pattern[str], *, timeout: float) -> str:
        """Wait for what appears, and return all since the last block was typed."""
        end = time.monotonic() + timeout
        with self._news:
            while not pattern.search(self.text):
                left = end - time.monotonic()
                if self._closed or left <= 0:
                    pytest.fail(f"no {pattern.pattern!r} in\n{self.text}")
                self._news.wait(left)
            return self.text

    def run(self, block: str, *, timeout: float) -> str:
        """Type a block of commands, wait for its end, and return what appeared.

        The shell ends at the first command that fails, and the test with it.
        """
        # What is typed appears, too, in another form than what it prints.
        self.type(f"{block.rstrip()}\nprintf '<%s %d>\\n' ended $?\n")
        return self.until(ENDED, timeout=timeout)
