"""Find out which kind of endpoint a name is of, and connect to it."""

from __future__ import annotations

import re

from trainer.endpoints.client import EndpointClient
from trainer.endpoints.prediction.predict_options import PredictOptions

_VERTEX = re.compile(r"projects/[^/]+/locations/[^/]+/endpoints/[^/]+|\d{6,}")


def connect_endpoint(endpoint: str, options: PredictOptions) -> EndpointClient:
    """Return a client of an endpoint.

    Args:
        endpoint: A url, the name of a SageMaker endpoint or of a container, or the number or the
            resource of a Vertex AI endpoint.
        options: Of the verb; `to` says of which kind it is where the name alone does not.

    Raises:
        UserError: There is none, or it cannot be reached.
    """
    kind = options.to or kind_of(endpoint) or "sagemaker"
    if kind == "http":
        from trainer.endpoints.prediction.http_client import connect_http

        return connect_http(endpoint, timeout=options.timeout)
    from trainer.endpoints.registry import TARGETS

    return TARGETS[kind].client(endpoint, options)


def kind_of(endpoint: str) -> str | None:
    """Return the kind of endpoint that a name can only be of, by its form; None for plain names."""
    if endpoint.startswith(("http://", "https://")):
        return "http"
    return "vertex" if _VERTEX.fullmatch(endpoint) else None
