"""Requests of a Vertex AI endpoint: `:predict` for JSON, `:rawPredict` for all else."""

from __future__ import annotations

import json

from trainer.config import RetryableError, UserError
from trainer.endpoints.client import EndpointReply, UnreachableError
from trainer.endpoints.prediction.http_client import instances_of, seconds_of
from trainer.endpoints.prediction.pieces import JSON, JSON_LINES, Piece
from trainer.endpoints.vertex.connection import VertexConnection

# Of a public endpoint: "Send requests to custom-trained models". Some is left for the brackets.
MOST_BYTES = 1_450_000


class VertexClient:
    """A client of one endpoint.

    Args:
        connection: To the service.
        endpoint: Its path, `/v1/projects/…/endpoints/…`.
        timeout: Seconds for an answer.
    """

    def __init__(self, connection: VertexConnection, endpoint: str, *, timeout: float) -> None:
        self._to, self._endpoint, self._timeout = connection, endpoint, timeout
        self.name, self.limit = f"endpoint {endpoint.removeprefix('/v1/')}", MOST_BYTES

    def ask(self, piece: Piece) -> EndpointReply:
        """See `EndpointClient.ask`."""
        method, media_type, body = "rawPredict", piece.media_type, piece.body
        if media_type == JSON:
            method = "predict"
        elif media_type == JSON_LINES:
            # Any container takes this one, also those that are not the trainer's.
            method, media_type = "predict", JSON
            body = json.dumps({"instances": instances_of(piece)}, separators=(",", ":")).encode()
        try:
            answer = self._to.send(
                f"{self._endpoint}:{method}", body, media_type, timeout=self._timeout
            )
        except RetryableError as error:
            raise UnreachableError(str(error)) from None
        if answer.status_code == 404:
            raise UserError(
                subject=self.name, problem="is not there",
                remedy="check the name, --region and --project",
            )  # fmt: skip
        return EndpointReply(
            status=answer.status_code,
            body=answer.content,
            retry_after=seconds_of(answer.headers.get("Retry-After")),
        )

    def class_names(self) -> tuple[str, ...]:
        """See `EndpointClient.class_names`; an endpoint answers predictions alone."""
        return ()
