"""SageMaker as a backend: `trainer submit --to sagemaker`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainer.backends.backend import Backend, JobService
from trainer.backends.sagemaker.json_forms import command_text, json_text
from trainer.backends.sagemaker.python_v2 import estimator_code, tuner_code
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


def _python(request: TrainingRequest | TuningRequest) -> str:
    return tuner_code(request) if isinstance(request, TuningRequest) else estimator_code(request)


def _python_v3(request: TrainingRequest | TuningRequest) -> str:
    if isinstance(request, TuningRequest):
        raise UserError(
            subject="--print python-v3 with --tune", problem="that version's tuner "
            "leaves out keys, network isolation and groups of instances",
            remedy="print request, cli or python",
        )  # fmt: skip
    return model_trainer_code(request)


BACKEND = Backend(
    name="sagemaker",
    options=SageMakerOptions,
    connection=("region", "profile"),
    request=_request,
    forms={
        "request": json_text,
        "python": _python,
        "python-v3": _python_v3,
        "cli": command_text,
    },
    connect=_connect,
    storage=_storage,
    tuning=tuning_request,
    containers=_containers,
    local_bucket="s3://local/trainer",
    limits="there is no role, nobody takes hosts away, and nothing is copied to S3",
)
