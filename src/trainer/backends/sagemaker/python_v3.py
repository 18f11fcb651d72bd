"""A request as code for version 3 of the SageMaker Python SDK: a `ModelTrainer`."""

from __future__ import annotations

import re
from typing import Any

from trainer.backends.sagemaker.source_code import Source, call, region_lines
from trainer.platforms import TrainingRequest

CONFIGS = (
    "Channel", "CheckpointConfig", "Compute", "DataSource", "InstanceGroup", "MetricDefinition",
    "Networking", "OutputDataConfig", "RetryStrategy", "S3DataSource", "StoppingCondition", "Tag",
    "TensorBoardOutputConfig",
)  # fmt: skip


def model_trainer_code(request: TrainingRequest) -> str:
    """Return a script that submits the job: `pip install 'sagemaker>=3'`.

    The SDK appends the time to the job's name, and lists the job in no experiment.
    """
    options, body = request.options, request.body()
    algorithm = body["AlgorithmSpecification"]
    trainer = call(
        "ModelTrainer",
        training_image=request.image,
        role=request.role,
        base_job_name=request.name,
        training_input_mode=algorithm["TrainingInputMode"],
        compute=_compute(request, body),
        networking=_networking(body),
        stopping_condition=_shape("StoppingCondition", body["StoppingCondition"]),
        output_data_config=_shape("OutputDataConfig", body["OutputDataConfig"]),
        checkpoint_config=_shape("CheckpointConfig", body.get("CheckpointConfig")),
        hyperparameters=dict(request.hyperparameters),
        environment=dict(request.env) or None,
        tags=[_shape("Tag", tag) for tag in body["Tags"]],
    )
    metrics = [_shape("MetricDefinition", each) for each in algorithm["MetricDefinitions"]]
    lines = [
        f"trainer = {trainer}",
        call("trainer.with_metric_definitions", metric_definitions=metrics),
    ]
    for method, name in (
        ("with_tensorboard_output_config", "TensorBoardOutputConfig"),
        ("with_retry_strategy", "RetryStrategy"),
    ):
        if name in body:
            lines.append(f"trainer.{method}({_shape(name, body[name])})")
    channels = [
        call(
            "Channel",
            channel_name=each["ChannelName"],
            data_source=call(
                "DataSource",
                s3_data_source=_shape("S3DataSource", each["DataSource"]["S3DataSource"]),
            ),
            content_type=each["ContentType"],
            input_mode=each["InputMode"],
        )
        for each in body.get("InputDataConfig", [])
    ]
    lines.append(call("trainer.train", input_data_config=channels or None, wait=False, logs=False))
    text = "\n".join([*region_lines(options.region), *lines])
    return f'"""Submits {request.name} by version 3 of the SageMaker SDK."""\n\n' + (
        f"{_imports(text)}\n{text}\n"
    )


def _compute(request: TrainingRequest, body: dict[str, Any]) -> Source:
    resources = dict(body["ResourceConfig"])
    groups = [_shape("InstanceGroup", each) for each in resources.pop("InstanceGroups", [])]
    given = {_snake(name): value for name, value in resources.items()}
    return call(
        "Compute", **given, instance_groups=groups or None,
        enable_managed_spot_training=request.spot,
    )  # fmt: skip


def _networking(body: dict[str, Any]) -> Source:
    given = {_snake(name): value for name, value in body.get("VpcConfig", {}).items()}
    return call(
        "Networking", **given,
        enable_network_isolation=body["EnableNetworkIsolation"],
        enable_inter_container_traffic_encryption=body["EnableInterContainerTrafficEncryption"],
    )  # fmt: skip


def _shape(name: str, members: dict[str, Any] | None) -> Source | None:
    """Return the SDK's class of a structure, whose members have names in small letters."""
    if members is None:
        return None
    return call(name, **{_snake(member): value for member, value in members.items()})


def _snake(name: str) -> str:
    """Return `S3OutputPath` as `s3_output_path`, and `VolumeSizeInGB` as `volume_size_in_gb`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _imports(text: str) -> str:
    configs = [f"    {name}," for name in CONFIGS if f"{name}(" in text]
    lines = ["from sagemaker.train import ModelTrainer",
             "from sagemaker.train.configs import (", *configs, ")"]  # fmt: skip
    if text.startswith("os."):
        lines.insert(0, "import os\n")
    return "\n".join(lines) + "\n"
