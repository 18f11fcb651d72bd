"""A request as code for version 2 of the SageMaker Python SDK: an `Estimator`."""

from __future__ import annotations

from typing import Any

from trainer.backends.sagemaker.source_code import Source, call, region_lines
from trainer.platforms import TENSORBOARD, TrainingRequest

IMPORTS = """\
from sagemaker.debugger import TensorBoardOutputConfig
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.instance_group import InstanceGroup
"""


def estimator_code(request: TrainingRequest) -> str:
    """Return a script that submits the job: `pip install 'sagemaker<3'`."""
    options, body = request.options, request.body()
    inputs = {
        each.name: call(
            "TrainingInput",
            s3_data=each.uri,
            distribution="ShardedByS3Key" if each.sharded else "FullyReplicated",
            content_type="application/octet-stream",
            input_mode=options.input_mode,
        )
        for each in request.channels
    }
    fit = call(
        "estimator.fit",
        inputs=inputs or None,
        job_name=request.name,
        experiment_config=body.get("ExperimentConfig"),
        wait=False,
    )
    return "\n".join([
        f'"""Submits {request.name} by version 2 of the SageMaker SDK."""\n',
        _imports(request),
        *region_lines(options.region),
        f"estimator = {_estimator(request, body)}",
        f"{fit}\n",
    ])  # fmt: skip


def _estimator(request: TrainingRequest, body: dict[str, Any]) -> Source:
    options = request.options
    groups = [
        call("InstanceGroup", instance_group_name=name, instance_type=kind, instance_count=count)
        for name, kind, count in options.groups
    ]
    tensorboard = request.tensorboard and call(
        "TensorBoardOutputConfig",
        s3_output_path=request.tensorboard,
        container_local_output_path=TENSORBOARD,
    )
    return call(
        "Estimator",
        image_uri=request.image,
        role=request.role,
        instance_type=None if groups else options.instance_type,
        instance_count=None if groups else request.hosts,
        instance_groups=groups or None,
        volume_size=options.volume_size,
        volume_kms_key=options.volume_kms_key,
        max_run=request.max_seconds,
        input_mode=options.input_mode,
        output_path=request.output,
        output_kms_key=options.output_kms_key,
        hyperparameters=dict(request.hyperparameters) or None,
        environment=dict(request.env) or None,
        tags=body["Tags"],
        metric_definitions=body["AlgorithmSpecification"]["MetricDefinitions"],
        use_spot_instances=request.spot,
        max_wait=request.wait_seconds if request.spot else None,
        checkpoint_s3_uri=request.checkpoints,
        checkpoint_local_path=body.get("CheckpointConfig", {}).get("LocalPath"),
        subnets=[*options.subnets] or None,
        security_group_ids=[*options.security_groups] or None,
        encrypt_inter_container_traffic=options.encrypt_traffic,
        enable_network_isolation=options.network_isolation,
        keep_alive_period_in_seconds=options.keep_alive,
        max_retry_attempts=options.attempts,
        tensorboard_output_config=tensorboard,
        # Both would send more to S3 than the request asks for.
        debugger_hook_config=False,
        disable_profiler=True,
    )


def _imports(request: TrainingRequest) -> str:
    """Return the imports that the script needs."""
    unused = [
        word
        for word, needed in (
            ("TensorBoardOutputConfig", request.tensorboard),
            ("TrainingInput", request.channels),
            ("InstanceGroup", request.options.groups),
        )
        if not needed
    ]
    lines = [line for line in IMPORTS.splitlines() if line.rpartition(" ")[2] not in unused]
    head = ["import os\n"] if request.options.region else []
    return "\n".join([*head, *lines]) + "\n"
