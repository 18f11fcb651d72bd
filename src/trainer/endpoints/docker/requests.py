"""The command that starts a container which answers requests."""

from __future__ import annotations

from trainer.config import UserError
from trainer.endpoints.deployment import ARTIFACT_TAG, Deployment

IMAGE = "trainer:cpu"
# The port of the server in the container, and where it looks for its model.
PORT, MODEL_FOLDER = 8080, "/opt/ml/model"
_HEALTH = (
    "python3 -c \"import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/ping')\""
)


def run_arguments(deployment: Deployment) -> list[str]:
    """Return the arguments of `docker` that start the container.

    Raises:
        UserError: The model's folder has a comma, which no mount can have.
    """
    options = deployment.options
    if "," in deployment.artifact:
        raise UserError(
            subject=f"--artifacts {deployment.artifact}", problem="a mount can have no comma"
        )
    arguments = ["run", "--detach", "--name", deployment.name, "--restart", "unless-stopped"]
    labels = deployment.tags
    if deployment.is_uploaded:
        labels[ARTIFACT_TAG] = deployment.artifact
    for name, value in labels.items():
        arguments += ["--label", f"{name}={value}"]
    for name, value in deployment.env.items():
        arguments += ["--env", f"{name}={value}"]
    if options.gpus:
        arguments += ["--gpus", options.gpus]
    arguments += ["--publish", f"{options.address}:{options.port}:{PORT}"]
    mount = f"type=bind,source={deployment.artifact},target={MODEL_FOLDER},readonly"
    arguments += ["--mount", mount]
    arguments += ["--health-cmd", _HEALTH, "--health-interval", "5s", "--health-timeout", "10s"]
    arguments += ["--health-start-period", "300s", "--health-retries", "3"]
    return [*arguments, options.image or IMAGE, "serve"]


def host_of(address: str) -> str:
    """Return the host by which this machine reaches what listens at an address."""
    host = "localhost" if address in ("0.0.0.0", "127.0.0.1", "::") else address
    return f"[{host}]" if ":" in host else host
