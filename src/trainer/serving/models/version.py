"""One version of a model, and its state in TensorFlow Serving's words."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from trainer.serving.http.errors import bad_request
from trainer.serving.models.batching import Batcher
from trainer.serving.models.served_model import ServedModel

# States, as TensorFlow Serving names them.
AVAILABLE, LOADING, UNLOADING, END = "AVAILABLE", "LOADING", "UNLOADING", "END"
DIGITS = 19  # of the largest int64


class Version:
    """One version of a model, loaded and ready for requests.

    Attributes:
        name: Of the model.
        number: Of the version.
        model: In memory.
        batcher: Its queue.
    """

    def __init__(self, name: str, number: int, model: ServedModel, batcher: Batcher) -> None:
        self.name, self.number, self.model, self.batcher = name, number, model, batcher
        self._users = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[Version]:
        """Keep the version loaded while a block runs."""
        with self._lock:
            self._users += 1
        try:
            yield self
        finally:
            with self._lock:
                self._users -= 1

    @property
    def idle(self) -> bool:
        """True if no request uses it."""
        return self._users == 0


@dataclass(frozen=True)
class VersionState:
    """State of a version in TensorFlow Serving's status.

    Attributes:
        state: One of the four above.
        code: `OK`, or the name of an error.
        message: Of the error.
    """

    state: str
    code: str = "OK"
    message: str = ""


def number_of(text: str | None) -> int | None:
    """Return the version number that a request has as text; None if it has none.

    Raises:
        HTTPError: The text is not a number that a version can have.
    """
    if text is None:
        return None
    digits = text.isascii() and text.isdecimal() and len(text) <= DIGITS
    if not digits or int(text) >= 2**63:
        raise bad_request(f"Failed to convert version: {text[:80]} to numeric.")
    return int(text)
