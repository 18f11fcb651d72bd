"""A request as code for version 2 of the SageMaker Python SDK: an `Estimator`."""

from __future__ import annotations

from typing import Any

from trainer.backends.sagemaker.source_code import Source, call, region_lines
from trainer.backends.sagemaker.tuning import TuningRequest
from trainer.platforms import TENSORBOARD, TrainingRequest


def estimator_code(request: TrainingRequest) -> str:
    """Return a script that submits the job: `pip install 'sagemaker<3'`."""
    fit = call(
        "estimator.fit",
        inputs=_inputs(request),
        job_name=request.name,
        experiment_config=request.body().get("ExperimentConfig"),
        wait=False,
    )
    return _script(request, [fit])


def tuner_code(request: TuningRequest) -> str:
    """Return a script that submits the search: `pip install 'sagemaker<3'`."""
    search, training = request.search, request.training
    objective, most = search["HyperParameterTuningJobObjective"], search["ResourceLimits"]
    tuner = call(
        "HyperparameterTuner",
        estimator=Source("estimator"),
        objective_metric_name=objective["MetricName"],
        objective_type=objective["Type"],
        metric_definitions=training.body()["AlgorithmSpecification"]["MetricDefinitions"],
        hyperparameter_ranges=_ranges(search["ParameterRanges"]),
        strategy=search["Strategy"],
        early_stopping_type=search["TrainingJobEarlyStoppingType"],
        max_jobs=most["MaxNumberOfTrainingJobs"],
        max_parallel_jobs=most["MaxParallelTrainingJobs"],
        tags=training.body()["Tags"],
    )
    fit = call("tuner.fit", inputs=_inputs(training), job_name=request.name, wait=False)
    return _script(training, [f"tuner = {tuner}", fit], tunes=True)


def _ranges(found: dict[str, list[dict[str, Any]]]) -> dict[str, Source]:
    """Return the SDK's classes for the ranges of a search, by the names of the parameters."""
    ranges = {
        each["Name"]: call("CategoricalParameter", values=each["Values"])
        for each in found["CategoricalParameterRanges"]
    }
    for kind, number in (("Integer", int), ("Continuous", float)):
        for each in found[f"{kind}ParameterRanges"]:
            ranges[each["Name"]] = call(
                f"{kind}Parameter", min_value=number(each["MinValue"]),
                max_value=number(each["MaxValue"]), scaling_type=each["ScalingType"],
            )  # fmt: skip
    return ranges


def _script(request: TrainingRequest, lines: list[str], *, tunes: bool = False) -> str:
    return "\n".join([
        f'"""Submits {request.name} by version 2 of the SageMaker SDK."""\n',
        _imports(request, "\n".join(lines), tunes=tunes),
        *region_lines(request.options.region),
        f"estimator = {_estimator(request, request.body())}",
        *lines, "",
    ])  # fmt: skip


def _inputs(request: TrainingRequest) -> dict[str, Source] | None:
    inputs = {
        each.name: call(
            "TrainingInput",
            s3_data=each.uri,
            distribution="ShardedByS3Key" if each.sharded else "FullyReplicated",
            content_type="application/octet-stream",
            input_mode=request.options.input_mode,
        )
        for each in request.channels
    }
    return inputs or None


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


def _imports(request: TrainingRequest, text: str, *, tunes: bool) -> str:
    """Return the imports that the script needs."""
    lines = ["from sagemaker.estimator import Estimator"]
    if request.tensorboard:
        lines.append("from sagemaker.debugger import TensorBoardOutputConfig")
    if request.channels:
        lines.append("from sagemaker.inputs import TrainingInput")
    if request.options.groups:
        lines.append("from sagemaker.instance_group import InstanceGroup")
    if tunes:
        kinds = [f"{kind}Parameter" for kind in ("Categorical", "Continuous", "Integer")]
        used = [*(kind for kind in kinds if f"{kind}(" in text), "HyperparameterTuner"]
        lines.append(f"from sagemaker.tuner import {', '.join(used)}")
    head = ["import os\n"] if request.options.region else []
    return "\n".join([*head, *sorted(lines)]) + "\n"
