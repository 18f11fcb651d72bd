"""SageMaker as a place that endpoints are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.clouds import AwsSettings, aws_client
from trainer.endpoints.client import EndpointClient
from trainer.endpoints.deploy_options import DeployOptions
from trainer.endpoints.deployment import Deployment
from trainer.endpoints.image_tables import dns_suffix
from trainer.endpoints.model_source import ARCHIVE
from trainer.endpoints.prediction.predict_options import PredictOptions
from trainer.endpoints.sagemaker.requests import requests_of
from trainer.endpoints.sagemaker.runtime_client import SageMakerClient
from trainer.endpoints.sagemaker.service import SageMakerEndpointService
from trainer.endpoints.undeploy_options import UndeployOptions


class SageMakerTarget:
    """Endpoints and batch transform jobs of SageMaker."""

    form = ARCHIVE
    scheme = "s3"
    image: str | None = None

    def requests(self, deployment: Deployment) -> Sequence[Mapping[str, Any]]:
        """See `EndpointTarget.requests`."""
        return [request.as_dict() for request in requests_of(deployment)]

    def connect(self, options: DeployOptions | UndeployOptions) -> SageMakerEndpointService:
        """See `EndpointTarget.connect`."""
        return SageMakerEndpointService(_settings(options))

    def client(self, endpoint: str, options: PredictOptions) -> EndpointClient:
        """See `EndpointTarget.client`."""
        return SageMakerClient(endpoint, aws_client("sagemaker-runtime", _settings(options)))


def _settings(options: DeployOptions | UndeployOptions | PredictOptions) -> AwsSettings:
    if options.region is not None:
        # A host that is not there would be taken for a network that is not.
        dns_suffix(options.region)
    return AwsSettings(region=options.region, profile=options.profile)


TARGET = SageMakerTarget()
