"""SageMaker's channels, and the fields of `Job` that they set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.platforms.base import Environment

CHANNEL = "SM_CHANNEL_"
# The first channel of each field counts: the trainer reads one set for each use.
FIELDS = {
    "SM_CHANNEL_TRAIN": "train",
    "SM_CHANNEL_TRAINING": "train",
    "SM_CHANNEL_TEST": "test",
    "SM_CHANNEL_TESTING": "test",
    "SM_CHANNEL_EVAL": "test",
    "SM_CHANNEL_EVALUATION": "test",
    "SM_CHANNEL_VALIDATION": "validation",
    "SM_CHANNEL_VAL": "validation",
    # For `--import`; the SDK calls the channel `model`.
    "SM_CHANNEL_INPUT": "input",
    "SM_CHANNEL_MODEL": "input",
}
# Channels in which the SDK's version 3 passes the user's code and its own.
_NO_DATA = ("CODE", "SM_DRIVERS")


def by_upper_name(environment: Environment) -> dict[str, str]:
    """Return variables by their names in capitals, in which people may not have written them."""
    return {name.upper(): name for name in environment.env if name.upper().startswith("SM_")}


def read_channels(
    environment: Environment, values: dict[str, Any], sources: dict[str, str]
) -> None:
    """Set the fields of Job whose channels are there: the first channel of each field."""
    variables = by_upper_name(environment)
    for name, field in FIELDS.items():
        actual = variables.get(name, name)
        if environment.env.get(actual) and field not in values:
            values[field], sources[field] = environment.env[actual], actual


def check_channels(
    environment: Environment, values: Mapping[str, Any], sources: Mapping[str, str]
) -> tuple[str, ...]:
    """Check the channels that the job reads, and name those that it does not.

    Args:
        environment: The environment, with the SM_ variables.
        values: All fields of Job by name, hyperparameters and flags included.
        sources: For each of them the flag, variable or file that set it.

    Returns:
        Lines for the log.

    Raises:
        UserError: A channel is missing, empty or a pipe, or none is for training.
    """
    variables = by_upper_name(environment)
    channels = {
        name: actual
        for name, actual in sorted(variables.items())
        if name.startswith(CHANNEL) and name.removeprefix(CHANNEL) not in _NO_DATA
    }
    importing = values.get("import_model")
    read = ("input",) if importing else ("train", "validation", "test")
    if channels and not values.get("train") and not importing:
        names = ", ".join(name.removeprefix(CHANNEL) for name in channels).lower()
        model = any(FIELDS.get(name) == "input" for name in channels)
        hint = ", or set the hyperparameter import=true to pass that model on" if model else ""
        raise UserError(
            subject="SM_CHANNELS",
            problem=f"none of {names} is for training",
            remedy=f"name a channel train or training{hint}",
        )
    used = {name for field in read for name in _channels_of(field, environment, values, sources)}
    for actual in channels.values():
        if actual in used:
            _check(actual, environment)
    return tuple(
        f"{actual}={environment.env[actual]}: not used, {_why(name, read, sources)}"
        for name, actual in channels.items()
        if actual not in used
    )


def read_sharding(
    environment: Environment, hosts: int, values: dict[str, Any], sources: dict[str, str]
) -> None:
    """Set how hosts share the data if SageMaker gives each host other objects.

    Args:
        environment: The environment, with the SM_ variables.
        hosts: How many hosts train.
        values: Fields of Job by name; `shard_by` is set here.
        sources: For each of them the flag, variable or file that set it.

    Raises:
        UserError: Another way to share the data was asked for, or data is sharded, but not that to
            train on.
    """
    sharded = {
        field: f"channel {channel} is ShardedByS3Key"
        for field in ("train", "validation", "test")
        for variable in _channels_of(field, environment, values, sources)
        for channel, settings in _settings(environment, variable)
        if _is_sharded(settings)
    }
    if hosts < 2 or not sharded:
        return
    if "train" not in sharded:
        raise UserError(
            subject="SM_INPUT_DATA_CONFIG",
            problem=f"{next(iter(sharded.values()))}, but the training data is not",
            remedy="set both to ShardedByS3Key, or this one to FullyReplicated",
        )
    sharding = values.get("shard_by", "host")
    if sharding != "host":
        raise UserError(
            subject=f"{sources['shard_by']} {sharding}",
            problem=f"SM_INPUT_DATA_CONFIG: {sharded['train']}, so that each host has other files",
            remedy="leave it out, or set FullyReplicated",
        )
    values["shard_by"], sources["shard_by"] = "host", f"SM_INPUT_DATA_CONFIG: {sharded['train']}"


def _channels_of(
    field: str, environment: Environment, values: Mapping[str, Any], sources: Mapping[str, str]
) -> list[str]:
    """Return the variables of the channels whose folders a field reads."""
    paths = values.get(field) or ()
    paths = (paths,) if isinstance(paths, str) else paths
    return [
        variable
        for name, variable in sorted(by_upper_name(environment).items())
        if name.startswith(CHANNEL)
        and (
            sources.get(field) == variable
            or any(_below(p, environment.env[variable]) for p in paths)
        )
    ]


def _below(path: str, folder: str) -> bool:
    return bool(folder) and "://" not in path and Path(path).is_relative_to(folder)


def _settings(environment: Environment, variable: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the channel that a variable names, with its settings."""
    name = variable.upper().removeprefix(CHANNEL)
    config = environment.json("SM_INPUT_DATA_CONFIG")
    return [
        (channel, settings)
        for channel, settings in (config.items() if isinstance(config, dict) else ())
        if channel.upper().replace("-", "_") == name.replace("-", "_")
        and isinstance(settings, dict)
    ]


def _is_sharded(settings: Mapping[str, Any]) -> bool:
    kind = settings.get("S3DataDistributionType", settings.get("S3DistributionType"))
    return bool(kind == "ShardedByS3Key")


def _why(name: str, read: tuple[str, ...], sources: Mapping[str, str]) -> str:
    field = FIELDS.get(name)
    if field in read:
        return f"as {sources[field]} is there"
    if field == "input":
        return "as training begins anew; with --import the model is checked and passed on"
    if field:
        return "as a model is imported"
    names = ", ".join(n.removeprefix(CHANNEL).lower() for n, f in FIELDS.items() if f in read)
    return f"as its name is none of {names}"


def _check(variable: str, environment: Environment) -> None:
    folder = environment.env[variable]
    for channel, settings in _settings(environment, variable):
        if settings.get("TrainingInputMode") == "Pipe":
            raise UserError(
                subject="SM_INPUT_DATA_CONFIG",
                problem=f"channel {channel} has TrainingInputMode Pipe; expected File or FastFile",
            )
    path = Path(folder)
    if "://" in folder or path.is_file():
        return
    try:
        if any(path.iterdir()):
            return
    except OSError as error:
        raise UserError(
            subject=f"{variable}={folder}",
            problem=f"cannot be read: {error.strerror}",
            remedy="check the channel",
        ) from None
    check = "check its S3 address"
    if any(_is_sharded(settings) for _, settings in _settings(environment, variable)):
        check += ", and that it has an object for each host, as it is ShardedByS3Key"
    raise UserError(
        subject=f"{variable}={folder}",
        problem="the channel is empty",
        remedy=check,
    )
