"""Requests of SageMaker's API, as boto3 and the AWS CLI send them, as estimators that `fit`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.migration.followed import Followed
from trainer.migration.values import Given, Made, Use, is_known

# The members of a request, with the arguments of an estimator that say the same.
MEMBERS: Mapping[str, str | Mapping[str, str]] = {
    "RoleArn": "role", "HyperParameters": "hyperparameters",
    "StaticHyperParameters": "hyperparameters", "Environment": "environment", "Tags": "tags",
    "AlgorithmSpecification": {
        "TrainingImage": "image_uri", "TrainingInputMode": "input_mode",
        "MetricDefinitions": "metric_definitions",
        "EnableSageMakerMetricsTimeSeries": "enable_sagemaker_metrics",
        "ContainerEntrypoint": "container_entry_point",
        "ContainerArguments": "container_arguments",
        "TrainingImageConfig": "training_repository_access_mode",
    },
    "OutputDataConfig": {
        "S3OutputPath": "output_path", "KmsKeyId": "output_kms_key",
        "CompressionType": "disable_output_compression",
    },
    "ResourceConfig": {
        "InstanceType": "instance_type", "InstanceCount": "instance_count",
        "VolumeSizeInGB": "volume_size", "VolumeKmsKeyId": "volume_kms_key",
        "KeepAlivePeriodInSeconds": "keep_alive_period_in_seconds",
        "InstanceGroups": "instance_groups", "TrainingPlanArn": "training_plan",
        "InstancePlacementConfig": "instance_placement_config",
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": "max_run", "MaxWaitTimeInSeconds": "max_wait"},
    "VpcConfig": {"Subnets": "subnets", "SecurityGroupIds": "security_group_ids"},
    "CheckpointConfig": {"S3Uri": "checkpoint_s3_uri", "LocalPath": "checkpoint_local_path"},
    "RetryStrategy": {"MaximumRetryAttempts": "max_retry_attempts"},
    "EnableNetworkIsolation": "enable_network_isolation",
    "EnableInterContainerTrafficEncryption": "encrypt_inter_container_traffic",
    "EnableManagedSpotTraining": "use_spot_instances",
    "DebugHookConfig": "debugger_hook_config", "DebugRuleConfigurations": "rules",
    "ProfilerConfig": "profiler_config", "TensorBoardOutputConfig": "tensorboard_output_config",
    "InfraCheckConfig": "enable_infra_check", "RemoteDebugConfig": "enable_remote_debug",
    "SessionChainingConfig": "enable_session_tag_chaining",
}  # fmt: skip
# The members by the names of these arguments, as the user's request has them.
ORIGINALS: Mapping[str, str] = {
    "entry_point": "sagemaker_program", "source_dir": "sagemaker_submit_directory",
    **{
        argument: member
        for name, names in MEMBERS.items()
        for member, argument in ([(name, names)] if isinstance(names, str) else names.items())
    },
}  # fmt: skip
# Members that say nothing to an estimator, but to `fit`, or to nobody.
_STARTING = {"TrainingJobName": "job_name", "ExperimentConfig": "experiment_config"}
_QUIET = ("InputDataConfig", "DefinitionName", "TuningObjective", "HyperParameterRanges")
_TUNING = ("create_hyper_parameter_tuning_job",)
REQUESTS = ("create_training_job", *_TUNING)
_CHANNEL = {
    "ContentType": "content_type", "CompressionType": "compression",
    "RecordWrapperType": "record_wrapping", "InputMode": "input_mode",
    "ShuffleConfig": "shuffle_config",
}  # fmt: skip
_S3 = {
    "S3Uri": "s3_data", "S3DataType": "s3_data_type", "S3DataDistributionType": "distribution",
    "AttributeNames": "attribute_names", "InstanceGroupNames": "instance_groups",
}  # fmt: skip
_RANGES = {
    "IntegerParameterRanges": "IntegerParameter",
    "ContinuousParameterRanges": "ContinuousParameter",
    "CategoricalParameterRanges": "CategoricalParameter",
}


def with_requests(followed: Followed) -> Followed:
    """Return what a script makes, with an estimator for each request that it sends."""
    made, uses = [each for each in followed.made if each.kind not in REQUESTS], []
    for use in followed.uses:
        found = _objects(use) if is_read(use) else ()
        made += [each for each in found if isinstance(each, Made)]
        uses += [each for each in found if isinstance(each, Use)] or [use]
    return dataclasses.replace(followed, made=tuple(made), uses=tuple(uses))


def is_read(request: Use) -> bool:
    """Return whether a request is known so far that a command can be made of it."""
    names = ("TrainingJobDefinition",) if request.method in _TUNING else MEMBERS
    return request.method in REQUESTS and any(name in request.given for name in names)


def _objects(request: Use) -> tuple[Made | Use, ...]:
    """Return an estimator, the tuner that uses it, if any, and the call that starts them."""
    return _of_tuning(request) if request.method in _TUNING else _of_training(request)


def _of_training(request: Use) -> tuple[Made | Use, ...]:
    made = Made(
        kind=request.method, given=dict(_arguments(request.given, request.line)), line=request.line
    )
    return made, Use(made=made, method="fit", given=_start(request), line=request.line)


def _of_tuning(request: Use) -> tuple[Made | Use, ...]:
    line = request.line
    config, job = (
        request.given[name].value if name in request.given else None
        for name in ("HyperParameterTuningJobConfig", "TrainingJobDefinition")
    )
    if not isinstance(config, dict) or not isinstance(job, dict):
        return ()
    members = {str(name): _given(value, line) for name, value in job.items()}
    made = Made(kind="create_training_job", given=dict(_arguments(members, line)), line=line)
    tuner = Made(kind="HyperparameterTuner", given=dict(_tuner(config, made, request)), line=line)
    start = Use(made=request.made, method="fit", given=members, line=line)
    given = {name: each for name, each in _start(start).items() if name != "job_name"}
    return made, tuner, Use(made=tuner, method="fit", given=given, line=line)


def _given(value: Any, line: int) -> Given:
    return Given(value=value, source=repr(value)[:80] if is_known(value) else "", line=line)


def _arguments(request: Mapping[str, Given], line: int) -> Iterator[tuple[str, Given]]:
    for name, each in request.items():
        names = MEMBERS.get(name, name)
        if name in (*_STARTING, *_QUIET):
            continue
        if names == "hyperparameters" and isinstance(each.value, dict):
            yield from _hyperparameters(each)
        elif isinstance(names, str):
            yield names, each
        elif isinstance(each.value, dict):
            for member, value in each.value.items():
                if (member, value) != ("CompressionType", "GZIP"):
                    yield names.get(str(member), f"{name} {member}"), _given(value, line)
        else:
            yield name, each


def _hyperparameters(given: Given) -> Iterator[tuple[str, Given]]:
    """Yield a request's hyperparameters, apart from those that name the SDK's script."""
    names = {"sagemaker_program": "entry_point", "sagemaker_submit_directory": "source_dir"}
    rest = {name: value for name, value in given.value.items() if name not in names}
    yield "hyperparameters", dataclasses.replace(given, value=rest)
    for name, argument in names.items():
        value = given.value.get(name)
        if value is not None:
            plain = value.strip('"') if isinstance(value, str) else value
            yield argument, Given(value=plain, source=repr(plain)[:80], line=given.line)


def _start(request: Use) -> dict[str, Given]:
    """Return the arguments of `fit` that a request has."""
    found = {_STARTING[name]: each for name, each in request.given.items() if name in _STARTING}
    data = request.given.get("InputDataConfig")
    if data is not None:
        channels = data.value if isinstance(data.value, list) else [data.value]
        named = dict(_channel(each, request.line) for each in channels)
        found["inputs"] = Given(value=named, source=data.source, line=data.line)
    found["wait"] = _given(False, request.line)
    return found


def _channel(channel: Any, line: int) -> tuple[str, Any]:
    """Return name and source of a member of `InputDataConfig`."""
    if not isinstance(channel, dict):
        return "training", channel
    source = channel.get("DataSource")
    source = source if isinstance(source, dict) else {}
    place = source.get("S3DataSource")
    given = {_CHANNEL[n]: _given(v, line) for n, v in channel.items() if n in _CHANNEL}
    if isinstance(place, dict):
        given |= {_S3[n]: _given(v, line) for n, v in place.items() if n in _S3}
    kind = "FileSystemInput" if "FileSystemDataSource" in source else "TrainingInput"
    return str(channel.get("ChannelName", "training")), Made(kind=kind, given=given, line=line)


def _tuner(config: Mapping[Any, Any], estimator: Made, request: Use) -> Iterator[tuple[str, Given]]:
    line = request.line
    limits, goal, ranges = (
        value if isinstance(value := config.get(name), dict) else {}
        for name in ("ResourceLimits", "HyperParameterTuningJobObjective", "ParameterRanges")
    )
    found: dict[str, Any] = {
        "estimator": estimator,
        "objective_metric_name": goal.get("MetricName"), "objective_type": goal.get("Type"),
        "max_jobs": limits.get("MaxNumberOfTrainingJobs"),
        "max_parallel_jobs": limits.get("MaxParallelTrainingJobs"),
        "hyperparameter_ranges": dict(_ranges(ranges, line)),
        "strategy": config.get("Strategy"),
        "early_stopping_type": config.get("TrainingJobEarlyStoppingType"),
    }  # fmt: skip
    name = request.given.get("HyperParameterTuningJobName")
    if name is not None:
        yield "base_tuning_job_name", name
    for option, value in found.items():
        if value is not None:
            yield option, _given(value, line)
    for other in ("WarmStartConfig", "TrainingJobDefinitions", "Autotune"):
        if other in request.given:
            yield other, request.given[other]


def _ranges(ranges: Mapping[Any, Any], line: int) -> Iterator[tuple[str, Made]]:
    for names, kind in _RANGES.items():
        listed = ranges.get(names)
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict) and "Name" in each:
                given = {
                    "min_value": each.get("MinValue"), "max_value": each.get("MaxValue"),
                    "scaling_type": each.get("ScalingType"), "values": each.get("Values"),
                }  # fmt: skip
                known = {n: _given(_number(v), line) for n, v in given.items() if v is not None}
                yield str(each["Name"]), Made(kind=kind, given=known, line=line)


def _number(value: Any) -> Any:
    """Return a bound, which a request has as text, as a number."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
