"""Taking down all that `trainer deploy` made for one name, found by its tag."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from trainer.clouds import error_code
from trainer.endpoints.deployment import ARTIFACT_TAG, TAG
from trainer.endpoints.sagemaker.requests import scaled_resource
from trainer.endpoints.target import Removal

# In this order: what uses another before the other.
_KINDS = (
    ("endpoint", "list_endpoints", "Endpoints", "Endpoint"),
    ("endpoint configuration", "list_endpoint_configs", "EndpointConfigs", "EndpointConfig"),
    ("transform job", "list_transform_jobs", "TransformJobSummaries", "TransformJob"),
    ("model", "list_models", "Models", "Model"),
)


def remove_all(client: Callable[[str], Any], name: str, *, dry_run: bool) -> Removal:
    """Take down endpoint, configurations, jobs and models of a deployment.

    Args:
        client: Returns boto3's client of a service.
        name: Of the deployment.
        dry_run: Only look.

    Raises:
        ClientError: A call was refused.
    """
    sagemaker, found = client("sagemaker"), Removal()
    for kind, operation, key, prefix in _KINDS:
        for own, arn in _listed(sagemaker, operation, key, prefix, name):
            what = f"{kind} {own}"
            tags = _tags(sagemaker, arn)
            if tags.get(TAG) != name:
                if own == name:
                    found.left.append(f"{what}: trainer deploy did not make it")
                continue
            if ARTIFACT_TAG in tags and tags[ARTIFACT_TAG] not in found.artifacts:
                found.artifacts.append(tags[ARTIFACT_TAG])
            if prefix == "TransformJob":
                _stop(sagemaker, own, what, found, dry_run=dry_run)
                continue
            if not dry_run:
                if prefix == "Endpoint":
                    deregister(client, own)
                getattr(sagemaker, _delete(prefix))(**{f"{prefix}Name": own})
            found.removed.append(what)
    return found


def deregister(client: Callable[[str], Any], name: str) -> None:
    """Take away the autoscaling of an endpoint, if it has any.

    Raises:
        ClientError: The call was refused.
    """
    import botocore.exceptions

    scaling, resource = client("application-autoscaling"), scaled_resource(name)
    names = {key: value for key, value in resource.items() if key != "ResourceId"}
    try:
        found = scaling.describe_scalable_targets(ResourceIds=[resource["ResourceId"]], **names)
    except botocore.exceptions.ClientError as error:
        # Who may not use autoscaling has not used it.
        if error_code(error) != "AccessDeniedException":
            raise
        return
    if found["ScalableTargets"]:
        scaling.deregister_scalable_target(**resource)


def _delete(prefix: str) -> str:
    return {
        "Endpoint": "delete_endpoint",
        "EndpointConfig": "delete_endpoint_config",
        "Model": "delete_model",
    }[prefix]


def _listed(
    sagemaker: Any, operation: str, key: str, prefix: str, name: str
) -> Iterator[tuple[str, str]]:
    """Yield name and ARN of each resource that may be of a deployment."""
    token: dict[str, str] = {}
    while True:
        page = getattr(sagemaker, operation)(NameContains=name, MaxResults=100, **token)
        for each in page[key]:
            own = each[f"{prefix}Name"]
            if own == name or own.startswith(f"{name}-"):
                yield own, each[f"{prefix}Arn"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _tags(sagemaker: Any, arn: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    token: dict[str, str] = {}
    while True:
        page = sagemaker.list_tags(ResourceArn=arn, **token)
        tags |= {tag["Key"]: tag["Value"] for tag in page.get("Tags", ())}
        if not page.get("NextToken"):
            return tags
        token = {"NextToken": page["NextToken"]}


def _stop(sagemaker: Any, own: str, what: str, found: Removal, *, dry_run: bool) -> None:
    """Stop a transform job that runs; those that ended stay in the service's history."""
    job = sagemaker.describe_transform_job(TransformJobName=own)
    if job["TransformJobStatus"] == "InProgress":
        if not dry_run:
            sagemaker.stop_transform_job(TransformJobName=own)
        found.removed.append(what)
    else:
        found.left.append(f"{what}: it has ended, and the service keeps its record")
