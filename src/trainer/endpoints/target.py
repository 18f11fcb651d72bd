"""The interface of a place that endpoints are in."""

from __future__ import annotations

from typing import Protocol

from trainer.endpoints.client import EndpointClient
from trainer.endpoints.prediction.predict_options import PredictOptions


class EndpointTarget(Protocol):
    """A place that endpoints are in."""

    def client(self, endpoint: str, options: PredictOptions) -> EndpointClient:
        """Return a client of an endpoint.

        Raises:
            UserError: There is none of this name, or no credentials.
        """
