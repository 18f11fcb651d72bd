"""Requests of a SageMaker endpoint, by boto3's client of its runtime."""

from __future__ import annotations

from typing import Any

from trainer.clouds import aws_error, error_code
from trainer.endpoints.client import EndpointReply, UnreachableError
from trainer.endpoints.prediction.pieces import Piece

# SageMaker takes 6 MB, a serverless endpoint 4 MB: "Amazon SageMaker AI endpoints and quotas".
MOST_BYTES = 6 * 10**6
_BUSY = {"ThrottlingException", "ServiceUnavailable", "ModelNotReadyException", "InternalFailure"}


class SageMakerClient:
    """A client of one endpoint.

    Args:
        endpoint: Its name.
        client: boto3's of `sagemaker-runtime`.
    """

    def __init__(self, endpoint: str, client: Any) -> None:
        self.name, self.limit = f"endpoint {endpoint}", MOST_BYTES
        self._endpoint, self._client = endpoint, client

    def ask(self, piece: Piece) -> EndpointReply:
        """See `EndpointClient.ask`."""
        import botocore.exceptions

        try:
            answer = self._client.invoke_endpoint(
                EndpointName=self._endpoint, ContentType=piece.media_type,
                Accept="application/json", Body=piece.body,
            )  # fmt: skip
            return EndpointReply(status=200, body=answer["Body"].read())
        except botocore.exceptions.ClientError as error:
            code = error_code(error)
            if code == "ModelError":
                details = error.response
                return EndpointReply(
                    status=int(details.get("OriginalStatusCode") or 500),
                    body=str(details.get("OriginalMessage") or error).encode(),
                )
            if code in _BUSY:
                raise UnreachableError(code) from None
            raise aws_error(error, self.name) from None
        except botocore.exceptions.HTTPClientError as error:
            raise UnreachableError(type(error).__name__) from None
        except botocore.exceptions.BotoCoreError as error:
            raise aws_error(error, self.name) from None

    def class_names(self) -> tuple[str, ...]:
        """See `EndpointClient.class_names`; an endpoint answers invocations alone."""
        return ()
