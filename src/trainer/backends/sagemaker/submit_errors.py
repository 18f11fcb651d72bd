"""SageMaker's refusals of a request, with the flag that each is about."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainer.backends.sagemaker.tuning import TuningRequest
from trainer.clouds import aws_error, error_code
from trainer.config import RetryableError, UserError, suggestion
from trainer.platforms import TrainingRequest

# Words of a ValidationException, and the flag that they are about.
_ABOUT = (
    (r"instance[- ]?type", "--instance-type"),
    (r"\brole\b|RoleArn|assume", "--role"),
    (r"trainingImage|\bimage\b|ECR", "--image"),
    (r"subnet|security ?group|VpcConfig", "--subnets and --security-groups"),
    (r"kms", "--volume-kms-key and --output-kms-key"),
    (r"ExperimentName|experiment", "--experiment"),
    (r"S3 ?URI|s3://|bucket", "--output or the data"),
)


def submit_error(
    error: Exception,
    request: TrainingRequest | TuningRequest,
    region: str,
    known_types: Sequence[str] = (),
) -> UserError | RetryableError:
    """Return what it means that SageMaker took no job.

    Args:
        error: What boto3 raised.
        request: The job.
        region: Where it was to run.
        known_types: The instance types that boto3 knows.
    """
    code = error_code(error)
    found = aws_error(error, request.name)
    if isinstance(found, RetryableError):
        if code:
            return RetryableError(f"{found}; nothing was started: run the same command again")
        # The answer may have been lost, rather than the request.
        listing = "trainer jobs list --on sagemaker"
        return RetryableError(f"{found}; the job may have been started: see {listing}")
    text = found.problem
    if code == "ResourceLimitExceeded":
        return UserError(
            subject=f"--instance-type {request.options.instance_type}", problem=text,
            remedy=f"ask for more in Service Quotas of {region}, or take other instances",
        )  # fmt: skip
    if code == "ResourceInUse":
        return UserError(
            subject=f"--name {request.name}", problem="SageMaker has a job of that name already",
            remedy="give another name, or leave --name out",
        )  # fmt: skip
    if code == "ValidationException" and "enum value set" in text and "instanceType" in text:
        kind = request.options.instance_type
        return UserError(
            subject=f"--instance-type {kind}",
            problem=f"SageMaker has no such instances{suggestion(kind, known_types)}",
            remedy=f"see the instances for training in {region} on SageMaker's page of prices",
        )
    if code == "ValidationException":
        about = next(
            (flag for words, flag in _ABOUT if re.search(words, text, re.IGNORECASE)), None
        )
        return UserError(subject=about or request.name, problem=text)
    if type(error).__name__ == "ParamValidationError":
        return UserError(subject=request.name, problem=f"boto3 refuses the request: {text}")
    return found
