"""Interface of what answers requests: a server, a SageMaker endpoint, a Vertex AI endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from trainer.endpoints.prediction.pieces import Piece


@dataclass(frozen=True, kw_only=True)
class EndpointReply:
    """The answer of an endpoint to one request.

    Attributes:
        status: Of HTTP.
        body: As it came.
        retry_after: Seconds after which the endpoint asks for another try, if it names any.
    """

    status: int
    body: bytes
    retry_after: float | None = None


class UnreachableError(Exception):
    """No answer came; another try may bring one."""


class EndpointClient(Protocol):
    """Sends requests to one endpoint; its methods are called from several threads.

    Attributes:
        name: The endpoint, for people; answers of another are not mixed with its own.
        limit: Most bytes of a request's body.
    """

    name: str
    limit: int

    def ask(self, piece: Piece) -> EndpointReply:
        """Send one request.

        Raises:
            UnreachableError: No answer came.
            UserError: No request can succeed, for want of credentials or of the endpoint.
        """

    def class_names(self) -> tuple[str, ...]:
        """Return the names of the classes by label; empty if the endpoint names none."""
