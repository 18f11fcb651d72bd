"""SageMaker training jobs.

Contracts: "How Amazon SageMaker Processes Training" in the SageMaker developer guide; `to_env_vars`
of the sagemaker-training toolkit.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from trainer.config import UserError, without_quotes
from trainer.platforms.base import Environment, Platform, PlatformSettings, expect
from trainer.platforms.coerce import field_of
from trainer.platforms.sagemaker.channels import (
    FIELDS,
    check_channels,
    read_channels,
    read_sharding,
)
from trainer.platforms.sagemaker.files import (
    FILES,
    base_dir,
    config_file,
    first_variable,
    framework_parameters,
    hyperparameters,
    is_trial,
    read_file,
    with_sm_variables,
)
from trainer.platforms.sagemaker.hosts import read_cluster, read_hosts
from trainer.platforms.sagemaker.switches import (
    PROCESSES,
    SWITCHES,
    overridden,
    read_switches,
)

VARIABLES: dict[str, str] = {
    **FIELDS,
    "SM_INPUT_DATA_CONFIG": "train",
    "SM_MODEL_DIR": "model_dir",
    "SM_OUTPUT_DATA_DIR": "output_dir",
    "/opt/ml/input/config/checkpointconfig.json": "checkpoint_dir",
    "/opt/ml/checkpoints": "checkpoint_dir",
    "/opt/ml/output/failure": "failure_file",
    "/opt/ml/input/config/hyperparameters.json": "hparams",
    "/opt/ml/input/config/inputdataconfig.json": "train",
    "/opt/ml/input/config/resourceconfig.json": "cluster",
    "SM_HPS": "hparams",
    "SM_HOSTS": "cluster",
    "SM_CURRENT_HOST": "cluster",
    "SM_NETWORK_INTERFACE_NAME": "cluster",
    "SM_RESOURCE_CONFIG": "cluster",
    "SM_DISTRIBUTION_INSTANCE_GROUPS": "cluster",
    "SM_TRAINING_ENV": "platform",
    "TRAINING_JOB_ARN": "platform",
    "TRAINING_JOB_NAME": "platform",
    "SAGEMAKER_BASE_DIR": "platform",
    **dict.fromkeys(SWITCHES, "distribution"),
    PROCESSES: "processes_per_host",
}
# SageMaker sends SIGKILL 120 s after SIGTERM, and uploads what was written until then.
GRACE = 110.0


def detect(environment: Environment) -> str | None:
    """Return the first sign of a SageMaker job: an SM_ variable, its ARN, or its files."""
    variable = first_variable(environment)
    if variable:
        return f"{variable} is set"
    if environment.env.get("TRAINING_JOB_ARN", "").split(":")[2:3] == ["sagemaker"]:
        return "TRAINING_JOB_ARN is set"
    for name in FILES:
        if config_file(environment, name).exists():
            return f"{config_file(environment, name)} is there"
    # Other systems may set this variable, too.
    folder = config_file(environment, FILES[0]).parent
    if environment.env.get("TRAINING_JOB_NAME") and folder.is_dir():
        return f"TRAINING_JOB_NAME is set and {folder} is there"
    return None


def read(environment: Environment) -> PlatformSettings:
    """Read the SM_ variables and the hyperparameters.

    Raises:
        UserError: A variable or file is malformed, or this host is not in its own list.
    """
    environment = with_sm_variables(environment)
    given = hyperparameters(environment)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    notes: list[str] = []
    # The SDK's TensorFlow estimator always sends a `model_dir`, in which TF1 Estimators kept
    # checkpoints. SageMaker collects the model from another folder.
    for key in [key for key in given if field_of(key) == "model_dir"]:
        sent, collected = without_quotes(given.pop(key)), environment.env.get("SM_MODEL_DIR")
        if sent and collected and str(sent).rstrip("/") != collected.rstrip("/"):
            notes.append(
                f"hyperparameter {key}={sent}: set aside, as SageMaker collects the model from "
                f"{collected}"
            )
    read_channels(environment, values, sources)
    for name in ("SM_MODEL_DIR", "SM_OUTPUT_DATA_DIR"):
        if environment.env.get(name):
            values[VARIABLES[name]], sources[VARIABLES[name]] = environment.env[name], name
    notes += read_switches(framework_parameters(environment), values, sources)
    _read_checkpoints(environment, values, sources)
    return PlatformSettings(
        environment=environment,
        values=values,
        sources=sources,
        hyperparameters=given,
        cluster=read_cluster(environment),
        # SageMaker uploads the model in any case; with 0 the job counts as completed.
        stopped_code=0,
        grace=GRACE,
        notes=tuple(notes),
    )


def finalize(
    settings: PlatformSettings, values: dict[str, Any], sources: dict[str, str]
) -> tuple[str, ...]:
    """Check the channels that the job reads, and that this host takes part in the training.

    Returns:
        Lines for the log.

    Raises:
        UserError: A channel is missing, empty or a pipe, or this host is in none of the groups.
    """
    environment = settings.environment
    if values.get("layout") == "tar":
        raise UserError(
            subject=f"{sources['layout']} tar",
            problem="SageMaker packs the model folder itself",
            remedy="leave it out",
        )
    notes = check_channels(environment, values, sources)
    notes += tuple(overridden(framework_parameters(environment), values, sources))
    read_sharding(environment, len(settings.cluster.trainers), values, sources)
    hosts, taking_part = read_hosts(environment)
    current = environment.env.get("SM_CURRENT_HOST")
    if current in hosts and current not in taking_part:
        raise UserError(
            subject="SM_DISTRIBUTION_INSTANCE_GROUPS",
            problem=f"expected a group with this host, {current}, found {', '.join(taking_part)}",
            remedy="name its group, or give that group a program of its own",
        )
    return notes


def _read_checkpoints(
    environment: Environment, values: dict[str, Any], sources: dict[str, str]
) -> None:
    """Set the folder that SageMaker copies to S3: the one of its file, else the default."""
    file = config_file(environment, "checkpointconfig.json")
    config = expect(dict, read_file(file), where=str(file)) if file.exists() else {}
    local = config.get("LocalPath")
    if local:
        path = Path(expect(str, local, where=f"{file}: LocalPath"))
        if path.is_relative_to("/opt/ml"):
            path = base_dir(environment) / path.relative_to("/opt/ml")
        values["checkpoint_dir"] = str(path / _trial(environment))
        sources["checkpoint_dir"] = str(file)
        return
    checkpoints = base_dir(environment) / "checkpoints"
    if checkpoints.is_dir() or config:
        values["checkpoint_dir"] = str(checkpoints / _trial(environment))
        sources["checkpoint_dir"] = str(checkpoints)


def _trial(environment: Environment) -> str:
    """Return the folder of a tuning job's trial, as all trials have one prefix in S3."""
    return environment.env.get("TRAINING_JOB_NAME", "") if is_trial(environment) else ""


def failure_file(environment: Environment) -> Path:
    """Return the file of which SageMaker shows the first 1024 characters as FailureReason."""
    return base_dir(environment) / "output/failure"


def host_name(environment: Environment) -> str:
    """Return the name that SageMaker gives this host, as containers often share their own."""
    named = environment.env.get("SM_CURRENT_HOST")
    if named:
        return named
    try:
        return str(read_file(config_file(environment, "resourceconfig.json"))["current_host"])
    except (UserError, KeyError, TypeError):
        return socket.gethostname()


PLATFORM = Platform(
    name="sagemaker",
    detect=detect,
    read=read,
    finalize=finalize,
    complete=with_sm_variables,
    variables=VARIABLES,
    prefixes=("SM_", "SAGEMAKER_", "TRAINING_JOB_"),
    failure_file=failure_file,
    host_name=host_name,
    program="trainer.sagemaker:find_script",
    gpu_variable="SM_NUM_GPUS",
    # Without SM_HOSTS, `view` would ask the toolkit for it.
    no_cluster={"SM_HOSTS": "[]"},
    same_on_all_hosts=True,
)
