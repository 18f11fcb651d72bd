"""Mistakes in a request that show before SageMaker starts instances for it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from trainer.backends.sagemaker.tuning import TuningRequest
from trainer.clouds import MAY_NOT_LOOK, AwsSettings, aws_client, aws_error, error_code, role_arn
from trainer.config import UserError
from trainer.platforms import TrainingRequest, sagemaker

_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)


def checked(
    request: TrainingRequest | TuningRequest, settings: AwsSettings, region: str
) -> TrainingRequest | TuningRequest:
    """Return the request with the role's ARN.

    Raises:
        UserError: No role or no bucket is named, or the role, the bucket or the image is not there
            or lies in another region.
    """
    if isinstance(request, TuningRequest):
        training = checked(request.training, settings, region)
        assert isinstance(training, TrainingRequest)
        return dataclasses.replace(request, training=training)
    if request.output == sagemaker.request.NO_OUTPUT:
        raise UserError(
            subject="--output", problem="SageMaker needs a place for the model",
            remedy="give --output s3://BUCKET/FOLDER, or set output in trainer.toml",
        )  # fmt: skip
    role = _role_arn(request.role, settings)
    _check_bucket(request.output, settings, region)
    _check_image(request.image, settings, region)
    return dataclasses.replace(request, role=role)


def _role_arn(role: str, settings: AwsSettings) -> str:
    if role == sagemaker.request.NO_ROLE:
        raise UserError(
            subject="--role", problem="SageMaker runs jobs as a role, and none is named",
            remedy="give the name or ARN of one that trusts sagemaker.amazonaws.com, or set role "
            "in [sagemaker] of trainer.toml",
        )  # fmt: skip
    return role_arn(role, settings)


def _check_bucket(url: str, settings: AwsSettings, region: str) -> None:
    bucket = url.removeprefix("s3://").partition("/")[0]
    subject = f"--output s3://{bucket}"
    try:
        found = aws_client("s3", settings).head_bucket(Bucket=bucket)
    except Exception as error:
        code = error_code(error)
        if code in ("404", "NoSuchBucket"):
            raise UserError(
                subject=subject, problem="there is no such bucket",
                remedy=f"make it: aws s3 mb s3://{bucket} --region {region}",
            ) from None  # fmt: skip
        if code in (*MAY_NOT_LOOK, "301", "PermanentRedirect"):
            found = getattr(error, "response", {})
        else:
            raise aws_error(error, subject) from None
    headers = found.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    there = found.get("BucketRegion") or headers.get("x-amz-bucket-region")
    if there and there != region:
        raise UserError(
            subject=subject, problem=f"the bucket is in {there}, the job in {region}",
            remedy=f"name a bucket in {region}, or give --region {there}",
        )  # fmt: skip


def _check_image(image: str, settings: AwsSettings, region: str) -> None:
    subject = f"--image {image}"
    match = _IMAGE.fullmatch(image)
    if match is None:
        raise UserError(
            subject=subject, problem="SageMaker pulls images from Amazon's registry (ECR)",
            remedy="push yours with make push-aws, and give its name",
        )  # fmt: skip
    if match["region"] != region:
        raise UserError(
            subject=subject,
            problem=f"the image is in {match['region']}, the job in {region}",
            remedy=f"push it to {region}, or give --region {match['region']}",
        )
    wanted: dict[str, Any] = (
        {"imageDigest": match["digest"]}
        if match["digest"]
        else {"imageTag": match["tag"] or "latest"}
    )
    try:
        aws_client("ecr", settings).describe_images(
            registryId=match["account"], repositoryName=match["repository"], imageIds=[wanted]
        )
    except Exception as error:
        code = error_code(error)
        if code in ("RepositoryNotFoundException", "ImageNotFoundException"):
            what = "repository" if code.startswith("Repository") else "image in that repository"
            raise UserError(
                subject=subject, problem=f"there is no such {what}",
                remedy="push it with make push-aws",
            ) from None  # fmt: skip
        if code not in MAY_NOT_LOOK:
            raise aws_error(error, subject) from None
