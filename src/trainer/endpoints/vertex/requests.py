"""The requests that make an endpoint of Vertex AI, as its REST API takes them.

Fields: Google's description of the API, aiplatform v1, which the tests check them against.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.config import UserError
from trainer.endpoints.deployment import ARTIFACT_TAG, Deployment

MACHINE_TYPE = "n1-standard-2"
PREDICT_ROUTE, HEALTH_ROUTE, PORT = "/invocations", "/ping", 8080
# The value of the label of a model that was uploaded; labels can hold no url.
UPLOADED = "uploaded"
_LABEL = re.compile(r"[a-z0-9_-]{0,63}")
_FORMATS = {"jsonl": "jsonl", "csv": "csv"}


@dataclass(frozen=True, kw_only=True)
class GoogleRequest:
    """One request of a REST service.

    Attributes:
        path: Below the service's address.
        body: Its JSON.
        params: Its query.
        what: What it makes, for people.
    """

    path: str
    body: Mapping[str, Any]
    params: Mapping[str, str] = field(default_factory=dict)
    what: str = ""

    def as_dict(self, base: str) -> dict[str, Any]:
        """Return it as JSON."""
        query = "&".join(f"{name}={value}" for name, value in self.params.items())
        url = f"{base}{self.path}{'?' if query else ''}{query}"
        return {"method": "POST", "url": url, "request": dict(self.body)}


def parent_of(project: str, region: str) -> str:
    """Return the resource below which endpoints and models are."""
    return f"projects/{project}/locations/{region}"


def requests_of(deployment: Deployment, parent: str) -> list[GoogleRequest]:
    """Return the requests that make model and endpoint, or model and batch prediction job.

    Args:
        deployment: The model and where it goes.
        parent: The project's resource.

    Raises:
        UserError: An option is missing, or none that Vertex AI takes.
    """
    options = deployment.options
    if options.image is None:
        raise UserError(
            subject="--image", problem="not given",
            remedy="name the trainer's image in a registry of Google's",
        )  # fmt: skip
    if deployment.name != deployment.name.lower():
        raise UserError(subject=f"--name {deployment.name}", problem="expected lower case")
    upload = GoogleRequest(
        path=f"/v1/{parent}/models:upload", body=_model(deployment),
        what=f"model {deployment.unique_name}",
    )  # fmt: skip
    if options.batch:
        return [upload, _batch(deployment, parent)]
    endpoint = f"{parent}/endpoints/{deployment.name}"
    deploy = GoogleRequest(path=f"/v1/{endpoint}:deployModel", body=_deployed(deployment, parent))
    if options.update:
        return [upload, deploy]
    create = GoogleRequest(
        path=f"/v1/{parent}/endpoints", body=_endpoint(deployment),
        params={"endpointId": deployment.name}, what=f"endpoint {deployment.name}",
    )  # fmt: skip
    return [upload, create, deploy]


def labels_of(deployment: Deployment) -> dict[str, str]:
    """Return labels in Google's form.

    Raises:
        UserError: One has other than lower-case letters, digits, hyphens and underscores.
    """
    for name, value in deployment.tags.items():
        if not (_LABEL.fullmatch(name) and name[:1].isalpha() and _LABEL.fullmatch(value)):
            raise UserError(
                subject=f"--tags {name}",
                problem="expected lower-case letters, digits, hyphens and underscores",
            )
    return deployment.tags


def _model(deployment: Deployment) -> dict[str, Any]:
    options = deployment.options
    labels = labels_of(deployment)
    if deployment.is_uploaded:
        labels[ARTIFACT_TAG] = UPLOADED
    container: dict[str, Any] = {
        "imageUri": options.image,
        "args": ["serve"],
        "predictRoute": PREDICT_ROUTE,
        "healthRoute": HEALTH_ROUTE,
        "ports": [{"containerPort": PORT}],
    }
    if deployment.env:
        container["env"] = [{"name": n, "value": v} for n, v in deployment.env.items()]
    model: dict[str, Any] = {
        "displayName": deployment.unique_name,
        "artifactUri": deployment.artifact,
        "containerSpec": container,
        "labels": labels,
    }
    if options.kms_key:
        model["encryptionSpec"] = {"kmsKeyName": options.kms_key}
    return {"modelId": deployment.unique_name, "model": model}


def _endpoint(deployment: Deployment) -> dict[str, Any]:
    options = deployment.options
    endpoint: dict[str, Any] = {
        "displayName": deployment.name,
        "labels": labels_of(deployment),
    }
    if options.network:
        endpoint["network"] = options.network
    if options.kms_key:
        endpoint["encryptionSpec"] = {"kmsKeyName": options.kms_key}
    return endpoint


def _machine(deployment: Deployment) -> dict[str, Any]:
    options = deployment.options
    machine: dict[str, Any] = {"machineType": options.instance_type or MACHINE_TYPE}
    if options.accelerator:
        kind, _, number = options.accelerator.partition(":")
        if not (number or "1").isdecimal():
            raise UserError(
                subject=f"--accelerator {options.accelerator}", problem="expected TYPE or TYPE:N"
            )
        machine |= {"acceleratorType": kind, "acceleratorCount": int(number or 1)}
    return machine


def _deployed(deployment: Deployment, parent: str) -> dict[str, Any]:
    options = deployment.options
    deployed: dict[str, Any] = {
        "model": f"{parent}/models/{deployment.unique_name}",
        "displayName": deployment.unique_name,
        "dedicatedResources": {
            "machineSpec": _machine(deployment),
            "minReplicaCount": options.count,
            "maxReplicaCount": options.max_count or options.count,
        },
    }
    if options.role:
        deployed["serviceAccount"] = options.role
    # 0 stands for the model that this request deploys: all traffic goes to it once it is ready.
    return {"deployedModel": deployed, "trafficSplit": {"0": 100}}


def _batch(deployment: Deployment, parent: str) -> GoogleRequest:
    options = deployment.options
    source, target = options.batch
    for url in options.batch:
        if not url.startswith("gs://"):
            raise UserError(subject=f"--batch {url}", problem="expected gs://BUCKET/PATH")
    if options.batch_type not in _FORMATS:
        raise UserError(
            subject=f"--batch-type {options.batch_type}",
            problem=f"expected one of {', '.join(_FORMATS)} with --to vertex",
        )
    job: dict[str, Any] = {
        "displayName": deployment.unique_name,
        "model": f"{parent}/models/{deployment.unique_name}",
        "inputConfig": {
            "instancesFormat": _FORMATS[options.batch_type],
            "gcsSource": {"uris": [source]},
        },
        "outputConfig": {
            "predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": target},
        },
        "dedicatedResources": {
            "machineSpec": _machine(deployment),
            "startingReplicaCount": options.count,
            "maxReplicaCount": options.max_count or options.count,
        },
        "labels": labels_of(deployment),
    }  # fmt: skip
    if options.role:
        job["serviceAccount"] = options.role
    if options.kms_key:
        job["encryptionSpec"] = {"kmsKeyName": options.kms_key}
    return GoogleRequest(
        path=f"/v1/{parent}/batchPredictionJobs", body=job,
        what=f"batch prediction job {deployment.unique_name}",
    )  # fmt: skip
