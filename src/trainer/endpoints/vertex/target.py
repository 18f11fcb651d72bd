"""Vertex AI as a place that endpoints are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.config import UserError
from trainer.endpoints.client import EndpointClient
from trainer.endpoints.deploy_options import DeployOptions
from trainer.endpoints.deployment import Deployment
from trainer.endpoints.model_source import FLAT
from trainer.endpoints.prediction.predict_options import PredictOptions
from trainer.endpoints.undeploy_options import UndeployOptions
from trainer.endpoints.vertex.connection import VertexConnection, public_url
from trainer.endpoints.vertex.prediction_client import VertexClient
from trainer.endpoints.vertex.requests import parent_of, requests_of
from trainer.endpoints.vertex.service import VertexEndpointService


class VertexTarget:
    """Endpoints and batch prediction jobs of Vertex AI."""

    form = FLAT
    scheme = "gs"
    image: str | None = None

    def requests(self, deployment: Deployment) -> Sequence[Mapping[str, Any]]:
        """See `EndpointTarget.requests`."""
        options = deployment.options
        if options.region is None:
            raise UserError(
                subject="--region", problem="not given", remedy="give it, such as europe-west4"
            )
        # Without credentials nobody knows their project.
        parent = parent_of(options.project or "PROJECT", options.region)
        base = options.api_endpoint or public_url(options.region)
        return [request.as_dict(base) for request in requests_of(deployment, parent)]

    def connect(self, options: DeployOptions | UndeployOptions) -> VertexEndpointService:
        """See `EndpointTarget.connect`."""
        return VertexEndpointService(_connection(options))

    def client(self, endpoint: str, options: PredictOptions) -> EndpointClient:
        """See `EndpointTarget.client`."""
        if not endpoint.startswith("projects/"):
            to = _connection(options)
            path = f"/v1/{to.parent}/endpoints/{endpoint}"
            return VertexClient(to, path, timeout=options.timeout)
        _, project, _, region, *_ = endpoint.split("/")
        to = VertexConnection(
            project=project, region=region, api=options.api_endpoint,
            logging=options.logging_endpoint,
        )  # fmt: skip
        return VertexClient(to, f"/v1/{endpoint}", timeout=options.timeout)


def _connection(options: DeployOptions | UndeployOptions | PredictOptions) -> VertexConnection:
    return VertexConnection(
        project=options.project, region=options.region, api=options.api_endpoint,
        logging=options.logging_endpoint,
    )  # fmt: skip


TARGET = VertexTarget()
