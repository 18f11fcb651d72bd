"""Mailbox of a launcher: messages from a thread, for a loop that waits for file descriptors."""

from __future__ import annotations

import contextlib
import os
import queue

from trainer.launch.rendezvous.messages import Message


class Mailbox:
    """Messages in their order, with a pipe that wakes the loop that reads them.

    Attributes:
        fd: Readable when there are messages.
    """

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.fd, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def put(self, message: Message) -> None:
        """Add a message, and wake the loop."""
        self._messages.put(message)
        # If the pipe is full, its reader is about to wake anyway.
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"x")

    def take(self) -> list[Message]:
        """Return the messages that were added since the last call."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 65536)
        found = []
        while True:
            try:
                found.append(self._messages.get_nowait())
            except queue.Empty:
                return found

    def close(self) -> None:
        """Close the pipe; nobody may add a message any more."""
        os.close(self.fd)
        os.close(self._wake)
