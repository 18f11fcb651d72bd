"""One request with its further tries, and what its answer means for the rest of a run."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trainer.config import RetryableError, UserError
from trainer.endpoints.client import EndpointClient, UnreachableError
from trainer.endpoints.prediction.answers import AnswerError, predictions_of
from trainer.endpoints.prediction.pieces import Piece

# Statuses after which another try may succeed.
PASSING = {408, 429, 502, 503, 504}
# Statuses that any other request would get, too.
FATAL = {
    401: "asks for credentials",
    403: "denies access",
    404: "is not there",
    405: "takes no such request",
    410: "is not there any more",
}
LONGEST_WAIT = 30.0


class RefusedRequestError(Exception):
    """The endpoint refuses one request; others may succeed."""


class StoppedAskingError(Exception):
    """The run was asked to stop while a request waited for its next try."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Number of tries of a request, and the time between them.

    Attributes:
        tries: Most tries.
        first: Seconds before the second try; twice as long before each further one.
        wait: Waits for some seconds; returns True to give up.
    """

    tries: int
    wait: Callable[[float], bool]
    first: float = 0.5

    def pause(self, attempt: int, asked: float | None) -> float:
        """Return the seconds before another try, with some chance, as all clients back off."""
        grown = min(LONGEST_WAIT, self.first * 2**attempt)
        return min(LONGEST_WAIT, asked or 0.0) + grown * (0.5 + random.random() / 2)


def predictions(client: EndpointClient, piece: Piece, policy: RetryPolicy) -> list[Any]:
    """Return the prediction of each row of a piece.

    Raises:
        RefusedRequestError: The endpoint refuses this request.
        UserError: It would refuse any other.
        RetryableError: It did not answer after all tries.
        StoppedAskingError: The run was asked to stop.
    """
    problem, asked = "", None
    for attempt in range(policy.tries):
        if attempt and policy.wait(policy.pause(attempt - 1, asked)):
            raise StoppedAskingError
        try:
            reply = client.ask(piece)
        except UnreachableError as error:
            problem, asked = str(error), None
            continue
        if reply.status in PASSING:
            problem, asked = f"{reply.status}: {message_of(reply.body)}", reply.retry_after
            continue
        if reply.status in FATAL:
            raise UserError(
                subject=client.name,
                problem=f"{FATAL[reply.status]} ({reply.status}: {message_of(reply.body)})",
            )
        if reply.status != 200:
            raise RefusedRequestError(f"{reply.status}: {message_of(reply.body)}")
        try:
            return predictions_of(reply.body, len(piece.numbers))
        except AnswerError as error:
            raise RefusedRequestError(str(error)) from None
    raise RetryableError(f"{client.name}: {problem} after {policy.tries} tries")


def message_of(body: bytes) -> str:
    """Return the message of an error's body, in one line of 300 characters at most."""
    text = body.decode(errors="replace")
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict):
        found = document.get("error", document.get("message", document.get("Message", text)))
        text = str(found.get("message", found) if isinstance(found, dict) else found)
    return " ".join(text.split())[:300] or "no message"
