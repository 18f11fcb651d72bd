"""The requests that make an endpoint of SageMaker, as boto3 takes them.

Names, limits and fields: botocore's service models of `sagemaker` and `application-autoscaling`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.config import UserError
from trainer.endpoints.deployment import ARTIFACT_TAG, Deployment

INSTANCE_TYPE = "ml.m5.large"
VARIANT = "AllTraffic"
# The service that adds and removes machines.
SCALING = "application-autoscaling"
_TAG = re.compile(r"[\w\s.:/=+\-@]*")
CONTENT_TYPES = {
    "jsonl": "application/jsonlines", "csv": "text/csv", "npy": "application/x-npy",
    "png": "image/png", "jpeg": "image/jpeg",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AwsRequest:
    """One call of a client of boto3.

    Attributes:
        service: Of the client.
        operation: Its method.
        arguments: Of the method.
        what: What the call makes, for people; empty if it makes nothing of its own.
    """

    service: str
    operation: str
    arguments: Mapping[str, Any]
    what: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "service": self.service,
            "operation": self.operation,
            "request": dict(self.arguments),
        }


def requests_of(deployment: Deployment) -> list[AwsRequest]:
    """Return the calls that make model and endpoint, or model and batch transform job.

    Raises:
        UserError: An option is missing, or none that SageMaker takes.
    """
    options = deployment.options
    if options.image is None:
        raise UserError(
            subject="--image", problem="not given",
            remedy="name the trainer's image in a registry of Amazon's",
        )  # fmt: skip
    if options.role is None:
        raise UserError(
            subject="--role",
            problem="expected the ARN or the name of a role that SageMaker may assume, such as "
            "arn:aws:iam::111122223333:role/SageMakerRole",
        )
    kind = options.instance_type or INSTANCE_TYPE
    if not kind.startswith("ml."):
        raise UserError(
            subject=f"--instance-type {kind}", problem=f"expected one such as {INSTANCE_TYPE}"
        )
    model = AwsRequest(
        service="sagemaker", operation="create_model", arguments=_model(deployment),
        what=f"model {deployment.unique_name}",
    )  # fmt: skip
    if options.batch:
        return [model, _transform(deployment, kind)]
    found = [model, _config(deployment, kind), _endpoint(deployment)]
    return found if options.max_count is None else [*found, *_scaling(deployment)]


def tags_of(deployment: Deployment, *, with_artifact: bool = False) -> list[dict[str, str]]:
    """Return tags in Amazon's form.

    Args:
        deployment: Where they come from.
        with_artifact: Add where the uploaded model lies.
    """
    tags = deployment.tags
    if with_artifact and deployment.is_uploaded:
        tags[ARTIFACT_TAG] = deployment.artifact
    for name, value in tags.items():
        if not (_TAG.fullmatch(name) and _TAG.fullmatch(value)):
            raise UserError(
                subject=f"--tags {name}", problem="expected letters, digits, spaces and _.:/=+-@"
            )
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def _model(deployment: Deployment) -> dict[str, Any]:
    options = deployment.options
    container: dict[str, Any] = {"Image": options.image, "ModelDataUrl": deployment.artifact}
    if deployment.env:
        container["Environment"] = deployment.env
    request: dict[str, Any] = {
        "ModelName": deployment.unique_name,
        "PrimaryContainer": container,
        "ExecutionRoleArn": options.role,
        "Tags": tags_of(deployment, with_artifact=True),
    }
    if options.subnets:
        request["VpcConfig"] = {
            "SecurityGroupIds": list(options.security_groups), "Subnets": list(options.subnets),
        }  # fmt: skip
    return request


def _config(deployment: Deployment, kind: str) -> AwsRequest:
    options = deployment.options
    variant: dict[str, Any] = {"VariantName": VARIANT, "ModelName": deployment.unique_name}
    if options.serverless:
        if options.memory_mb % 1024:
            raise UserError(
                subject=f"--memory-mb {options.memory_mb}", problem="expected a multiple of 1024"
            )
        variant["ServerlessConfig"] = {
            "MemorySizeInMB": options.memory_mb, "MaxConcurrency": options.max_concurrency,
        }  # fmt: skip
    else:
        variant |= {"InstanceType": kind, "InitialInstanceCount": options.count}
    request: dict[str, Any] = {
        "EndpointConfigName": deployment.unique_name,
        "ProductionVariants": [variant],
        "Tags": tags_of(deployment),
    }
    if options.kms_key:
        request["KmsKeyId"] = options.kms_key
    return AwsRequest(
        service="sagemaker", operation="create_endpoint_config", arguments=request,
        what=f"endpoint configuration {deployment.unique_name}",
    )  # fmt: skip


def _endpoint(deployment: Deployment) -> AwsRequest:
    names = {"EndpointName": deployment.name, "EndpointConfigName": deployment.unique_name}
    if deployment.options.update:
        # The service starts new machines, moves the traffic, and stops the old ones.
        return AwsRequest(service="sagemaker", operation="update_endpoint", arguments=names)
    return AwsRequest(
        service="sagemaker",
        operation="create_endpoint",
        arguments={**names, "Tags": tags_of(deployment)},
        what=f"endpoint {deployment.name}",
    )


def scaled_resource(name: str) -> dict[str, str]:
    """Return the arguments that name an endpoint's machines in Application Auto Scaling."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def _scaling(deployment: Deployment) -> list[AwsRequest]:
    options, resource = deployment.options, scaled_resource(deployment.name)
    policy = {
        "TargetValue": options.requests_per_instance,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
    }
    target = {**resource, "MinCapacity": options.count, "MaxCapacity": options.max_count}
    return [
        AwsRequest(
            service=SCALING, operation="register_scalable_target",
            arguments=target, what=f"autoscaling of endpoint {deployment.name}",
        ),
        AwsRequest(
            service=SCALING, operation="put_scaling_policy",
            arguments={
                **resource, "PolicyName": deployment.name, "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": policy,
            },
        ),
    ]  # fmt: skip


def _transform(deployment: Deployment, kind: str) -> AwsRequest:
    options = deployment.options
    source, target = options.batch
    for url in options.batch:
        if not url.startswith("s3://"):
            raise UserError(subject=f"--batch {url}", problem="expected s3://BUCKET/PATH")
    in_lines = options.batch_type in ("jsonl", "csv")
    accept = "text/csv" if options.batch_type == "csv" else "application/jsonlines"
    output: dict[str, Any] = {"S3OutputPath": target, "Accept": accept}
    resources: dict[str, Any] = {"InstanceType": kind, "InstanceCount": options.count}
    if in_lines:
        output["AssembleWith"] = "Line"
    if options.kms_key:
        output["KmsKeyId"] = resources["VolumeKmsKeyId"] = options.kms_key
    request: dict[str, Any] = {
        "TransformJobName": deployment.unique_name,
        "ModelName": deployment.unique_name,
        "BatchStrategy": "MultiRecord" if in_lines else "SingleRecord",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": CONTENT_TYPES[options.batch_type],
            "SplitType": "Line" if in_lines else "None",
        },
        "TransformOutput": output,
        "TransformResources": resources,
        "Tags": tags_of(deployment),
    }
    return AwsRequest(
        service="sagemaker", operation="create_transform_job", arguments=request,
        what=f"transform job {deployment.unique_name}",
    )  # fmt: skip
