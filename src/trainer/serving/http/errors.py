"""HTTP errors that handlers raise: a status and one line that says why."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.runtime import output, shortened

RETRY_SECONDS = "1"


class HTTPError(Exception):
    """A request that gets an error in place of predictions.

    Args:
        status: HTTP's.
        message: One line that names what came and what was expected.
        headers: Further headers of the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def bad_request(message: str) -> HTTPError:
    """Return the error 400, which TensorFlow Serving calls INVALID_ARGUMENT."""
    return HTTPError(400, message)


def overloaded(message: str) -> HTTPError:
    """Return the error 503 of a server that has enough to do; it asks the client to retry."""
    return HTTPError(503, message, {"retry-after": RETRY_SECONDS})


def shown_value(value: object, limit: int = 80) -> str:
    """Return a value of a request as an error shows it: on one line, and cut.

    Args:
        value: The value.
        limit: Most characters.
    """
    # Masked before it is cut, as the mask does not recognise half a secret.
    return shortened(" ".join(output.clean(str(value)[: 20 * limit]).split()), limit)
