"""An answer that is not the one asked for: a status and one line that says why."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.runtime import output

RETRY_SECONDS = "1"


class HTTPError(Exception):
    """What the client gets instead of predictions.

    Args:
        status: Of HTTP.
        message: One line: what came, what was expected.
        headers: Further headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def bad_request(message: str) -> HTTPError:
    """What TensorFlow Serving calls INVALID_ARGUMENT."""
    return HTTPError(400, message)


def overloaded(message: str) -> HTTPError:
    """There is more to do than may wait; a client does well to come back."""
    return HTTPError(503, message, {"retry-after": RETRY_SECONDS})


def shown(value: object, limit: int = 80) -> str:
    """A value of a request as an error shows it: short, and on one line."""
    # Before it is cut, as half a secret is not found.
    text = " ".join(output.clean(str(value)[: 20 * limit]).split())
    return text if len(text) <= limit else text[:limit] + "…"
