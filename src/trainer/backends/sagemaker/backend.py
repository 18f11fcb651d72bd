"""SageMaker as a backend: `trainer submit --to sagemaker`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trainer.backends.backend import Backend, JobService
from trainer.backends.sagemaker.json_forms import command_text, json_text
from trainer.backends.sagemaker.python_v2 import estimator_code
from trainer.backends.sagemaker.python_v3 import model_trainer_code
from trainer.backends.sagemaker.tuning import TuningRequest, tuning_request
from trainer.config import UserError
from trainer.platforms import (
    ContainerStart,
    SageMakerOptions,
    Submission,
    TrainingRequest,
    sagemaker,
)
from trainer.storage import StorageOptions


def _request(submission: Submission, options: SageMakerOptions) -> TrainingRequest:
    return sagemaker.request.training_request(submission, options)


def _containers(request: TrainingRequest | TuningRequest) -> Sequence[ContainerStart]:
    if isinstance(request, TuningRequest):
        raise UserError(
            subject="--local with --tune", problem="only SageMaker searches as SageMaker does",
            remedy="search here with trainer sweep",
        )  # fmt: skip
    return sagemaker.container.container_starts(request)


def _connect(options: SageMakerOptions) -> JobService:
    from trainer.backends.sagemaker.service import SageMakerService
    from trainer.clouds import AwsSettings

    return SageMakerService(AwsSettings(region=options.region, profile=options.profile))


def _storage(options: SageMakerOptions) -> StorageOptions:
    """Return what s3fs is to know: the account, and the region, where nothing else names them."""
    settings: dict[str, Any] = {"profile": options.profile} if options.profile else {}
    if options.region:
        settings["client_kwargs"] = {"region_name": options.region}
    return StorageOptions(s3=settings)


def _of_one_job(
    code: Callable[[TrainingRequest], str], form: str
) -> Callable[[TrainingRequest | TuningRequest], str]:
    """Return a form that only the request of a training job has."""

    def write(request: TrainingRequest | TuningRequest) -> str:
        if isinstance(request, TuningRequest):
            raise UserError(
                subject=f"--print {form} with --tune", problem="is for a training job",
                remedy="print request or cli",
            )  # fmt: skip
        return code(request)

    return write


BACKEND = Backend(
    name="sagemaker",
    options=SageMakerOptions,
    connection=("region", "profile"),
    request=_request,
    forms={
        "request": json_text,
        "python": _of_one_job(estimator_code, "python"),
        "python-v3": _of_one_job(model_trainer_code, "python-v3"),
        "cli": command_text,
    },
    connect=_connect,
    storage=_storage,
    tuning=tuning_request,
    containers=_containers,
    local_bucket="s3://local/trainer",
    limits="there is no role, nobody takes hosts away, and nothing is copied to S3",
)
