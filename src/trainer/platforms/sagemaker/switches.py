"""The `sagemaker_*` hyperparameters, by which an estimator chooses a strategy.

The SageMaker SDKs make them of an estimator's `distribution`. AWS's training toolkit passes them to
its frameworks as `SM_FRAMEWORK_PARAMS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trainer.config import UserError
from trainer.distribution import STRATEGIES
from trainer.platforms.base import printable_value
from trainer.platforms.coerce import coerce_value

MPI = "sagemaker_mpi_enabled"
PARAMETER_SERVER = "sagemaker_parameter_server_enabled"
MULTI_WORKER_MIRRORED = "sagemaker_multi_worker_mirrored_strategy_enabled"
# The strategies that they ask for.
SWITCHES = {
    strategy.sagemaker_switch: name
    for name, strategy in STRATEGIES.items()
    if strategy.sagemaker_switch
}
PROCESSES = "sagemaker_mpi_num_of_processes_per_host"
# The SDKs send these with every job; none of them is about the training.
_ALWAYS_SENT = {
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "sagemaker_region",
    "sagemaker_distribution_instance_groups",
}
_SWITCH = re.compile(r"sagemaker_\w+_enabled")
_ON, _OFF = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "none", "null", "")


def active_switch(parameters: Mapping[str, Any]) -> str | None:
    """Return the switch of `SWITCHES` that is on, or None.

    Args:
        parameters: The `sagemaker_*` hyperparameters.

    Raises:
        UserError: Two are on, or one for which this image has no program, or the value of one is
            neither true nor false.
    """
    # The SDKs also send switches that are off.
    on = [name for name in parameters if _SWITCH.fullmatch(name) and _is_on(name, parameters)]
    for name in on:
        if name not in SWITCHES:
            raise UserError(
                subject=f"hyperparameter {name}",
                problem="is true, but this image has no such way to share the "
                f"work; expected one of {', '.join(SWITCHES)} (the estimator's `distribution`)",
            )
    if len(on) > 1:
        first, second = sorted(on, key=list(SWITCHES).index)[:2]
        raise UserError(
            subject=f"hyperparameters {first} and {second}",
            problem="both are true",
            remedy="choose one of them",
        )
    return on[0] if on else None


def read_switches(
    parameters: Mapping[str, Any], values: dict[str, Any], sources: dict[str, str]
) -> list[str]:
    """Set the fields of Job that the switches choose, and name the parameters that have no effect.

    Args:
        parameters: The `sagemaker_*` hyperparameters.
        values: Fields of Job by name; `distribution` and `processes_per_host` are set here.
        sources: For each of them the parameter that set it.

    Returns:
        Lines for the log.

    Raises:
        UserError: As of `active_switch`, or a number is malformed.
    """
    on = active_switch(parameters)
    used = {*_ALWAYS_SENT, PROCESSES}
    if on:
        values["distribution"], sources["distribution"] = SWITCHES[on], on
    number = coerce_value("processes_per_host", parameters.get(PROCESSES), where=PROCESSES)
    notes: list[str] = []
    if number is not None and on == MPI:
        values["processes_per_host"], sources["processes_per_host"] = number, PROCESSES
    elif number is not None:
        notes.append(
            f"hyperparameter {PROCESSES}={number}: not used, as {MPI} is not true; to have several "
            "processes on each host set the hyperparameters distribution and processes_per_host"
        )
    notes += [
        f"hyperparameter {name}: not used"
        for name, value in sorted(parameters.items())
        if name not in used and not _SWITCH.fullmatch(name) and value not in (None, "", False)
    ]
    return notes


def overridden(
    parameters: Mapping[str, Any], values: Mapping[str, Any], sources: Mapping[str, str]
) -> list[str]:
    """Return a line for the log if a flag or hyperparameter overrides the switch.

    Args:
        parameters: The `sagemaker_*` hyperparameters.
        values: Fields of Job by name, flags and hyperparameters included.
        sources: For each of them the flag, variable or file that set it.
    """
    on, how = active_switch(parameters), values.get("distribution")
    if not on or how == SWITCHES[on]:
        return []
    return [f"hyperparameter {on}: not used, as {sources['distribution']} says {how}"]


def _is_on(name: str, parameters: Mapping[str, Any]) -> bool:
    value = "" if parameters[name] is None else str(parameters[name]).strip('" ').lower()
    if value not in (*_ON, *_OFF):
        raise UserError(
            subject=f"hyperparameter {name}",
            problem=f"expected true or false, found {printable_value(parameters[name])}",
        )
    return value in _ON
