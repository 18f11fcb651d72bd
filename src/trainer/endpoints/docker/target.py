"""This machine's container engine as a place that endpoints are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.backends import CLIENTS, find_engine
from trainer.config import UserError
from trainer.endpoints.client import EndpointClient
from trainer.endpoints.deploy_options import DeployOptions
from trainer.endpoints.deployment import Deployment
from trainer.endpoints.docker.requests import IMAGE, PORT, host_of, run_arguments
from trainer.endpoints.docker.service import DockerEndpointService
from trainer.endpoints.model_source import VERSIONS
from trainer.endpoints.prediction.http_client import connect_http
from trainer.endpoints.prediction.predict_options import PredictOptions
from trainer.endpoints.undeploy_options import UndeployOptions


class DockerTarget:
    """Containers of docker or podman."""

    form = VERSIONS
    scheme = ""
    image: str | None = IMAGE

    def requests(self, deployment: Deployment) -> Sequence[Mapping[str, Any]]:
        """See `EndpointTarget.requests`."""
        return [{"command": [CLIENTS[0], *run_arguments(deployment)]}]

    def connect(self, options: DeployOptions | UndeployOptions) -> DockerEndpointService:
        """See `EndpointTarget.connect`."""
        return DockerEndpointService(find_engine(options.engine))

    def client(self, endpoint: str, options: PredictOptions) -> EndpointClient:
        """See `EndpointTarget.client`."""
        found = find_engine(options.engine)("port", endpoint, str(PORT))
        address, _, port = found.splitlines()[0].rpartition(":") if found else ("", "", "")
        if not port:
            raise UserError(
                subject=f"container {endpoint}", problem=f"its port {PORT} is not published"
            )
        url = f"http://{host_of(address.strip('[]'))}:{port}"
        return connect_http(url, timeout=options.timeout)


TARGET = DockerTarget()
