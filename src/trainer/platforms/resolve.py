"""From what a process finds to its Job: an explicit flag, else the platform, else the default.

What the platform only passes on, the hyperparameters, comes between the two: it is the user's word,
though not said to this process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.config import (
    TASK_VARIABLE,
    Job,
    UserError,
    closest,
    flag,
    hint,
    job_from_flags,
    unquoted,
)
from trainer.distribution import default_strategy, spec_named, strategies_where
from trainer.platforms.base import Environment, PlatformSettings
from trainer.platforms.coerce import coerce_value, field_of, known_options, option_aliases, text
from trainer.platforms.gpus import count_gpus, gpu_evidence, gpus_are_hidden
from trainer.platforms.job_secret import is_secret, read_secret
from trainer.platforms.process_env import read_started_process
from trainer.platforms.registry import detect_platform

# What `--job-dir` stands for, as long as nothing names these folders themselves.
JOB_FOLDERS = {"model_dir": "/model", "checkpoint_dir": "/checkpoints", "log_dir": "/logs"}


@dataclass(frozen=True, kw_only=True)
class ResolvedJob:
    """A job and how it came about.

    Attributes:
        job: What to do.
        platform: Its name.
        because: Why it was taken for that platform.
        sources: For each field that is not a default, what said so.
        notes: Lines for the log.
    """

    job: Job
    platform: str
    because: str
    sources: Mapping[str, str]
    notes: tuple[str, ...]


def resolve_job(environment: Environment, flags: Mapping[str, Any]) -> ResolvedJob:
    """Make the Job of this process.

    Args:
        environment: The environment and files.
        flags: What was said on the command line, by field name; other names are ignored.

    Raises:
        UserError: A variable, file, hyperparameter or flag is not as it should be.
    """
    platform, because = detect_platform(environment)
    settings = platform.read(environment)
    secret, secret_source = read_secret(environment.env, settings.hyperparameters)
    others = {k: v for k, v in settings.hyperparameters.items() if not is_secret(k)}
    settings = dataclasses.replace(settings, hyperparameters=others)
    flags = {name: value for name, value in flags.items() if name in known_options()}
    values, sources = _merge(settings, flags)
    if values.get("job_dir"):
        _spread(values, sources, flags, trial=settings.trial.number if settings.trial else None)
    notes = (*settings.notes, *platform.finalize(settings, values, sources))
    notes += _resembling(values.get("hp", ()))
    cluster, task = settings.cluster, read_started_process(environment)
    if task:
        cluster, sources["cluster"] = task
        cluster = dataclasses.replace(cluster, interface=settings.cluster.interface)
    # What else starts processes as such starts Horovod's ranks.
    ranks = task is not None and task[1] != TASK_VARIABLE and cluster.size > 1
    usable = 0 if values.get("device") == "cpu" else count_gpus(environment)
    how = values.get("distribution") or default_strategy(
        cluster, gpus=usable, numbered_by_mpi=ranks
    )
    strategy = spec_named(how)
    if ranks and not strategy.numbered_by_mpi:
        fitting = " or ".join(strategies_where(lambda each: each.numbered_by_mpi))
        raise UserError(
            subject=f"--distribution {how}",
            problem=f"{sources['cluster']} says that this is one of {cluster.size} "
            "processes that mpirun or horovodrun started",
            remedy=f"set --distribution {fitting}, or start the trainer without it",
        )
    values["distribution"] = how
    strategy.check_shard_by(values.get("shard_by"), sources.get("shard_by", ""))
    if settings.reducers and strategy.uses_nccl and cluster.role != "ps":
        cluster, dropped = dataclasses.replace(cluster, ps=()), len(cluster.ps)
        if dropped:
            notes += (
                f"workerpool2: {dropped} taken for Vertex AI's Reduction Server, as --distribution "
                f"{how} has no parameter servers",
            )
    if secret_source:
        sources["secret"] = secret_source
    failure_file = platform.failure_file(environment)
    expected, gpu_notes = _expected(environment, values, launched=task is not None)
    job = dataclasses.replace(
        job_from_flags(values),
        platform=platform.name,
        cluster=cluster,
        launched=task is not None,
        gpus=usable,
        gpu_expected=expected,
        # One report a trial, from whoever evaluates.
        trial=settings.trial if cluster.is_chief else None,
        stopped_code=settings.stopped_code,
        grace=settings.grace,
        late_evaluators=settings.late_evaluators,
        # A process that was started as one of several talks to no other host's launcher.
        secret=None if task else secret,
        failure_file=str(failure_file) if failure_file else None,
    )
    return ResolvedJob(
        job=job,
        platform=platform.name,
        because=because,
        sources=sources,
        notes=(*notes, *gpu_notes),
    )


def _expected(
    environment: Environment, values: Mapping[str, Any], *, launched: bool
) -> tuple[str | None, tuple[str, ...]]:
    """What says that there is a GPU to use, and lines for the log.

    Raises:
        UserError: One is asked for, and all are hidden.
    """
    sign, device = gpu_evidence(environment), values.get("device")
    if device == "cpu" or not gpus_are_hidden(environment):
        return (None if device == "cpu" else sign), ()
    hides = f"CUDA_VISIBLE_DEVICES={environment.env['CUDA_VISIBLE_DEVICES']}"
    if device == "gpu" and not launched:
        raise UserError(
            subject="--device gpu",
            problem=f"{hides} hides all GPUs",
            remedy="unset it, or leave --device out",
        )
    # The launcher hides them from those who do not compute.
    told = sign and not spec_named(values["distribution"]).coordinated
    return None, (f"{sign}: hidden by {hides}, training on the CPU",) if told else ()


def _merge(
    settings: PlatformSettings, flags: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Platform, hyperparameters and flags, the later the stronger."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, given in settings.values.items():
        value = coerce_value(name, given, where=settings.sources[name])
        if value is not None:
            values[name], sources[name] = value, settings.sources[name]
    told, told_by, own = _hyperparameters(settings.hyperparameters)
    own_module = (flags.get("module") or told.get("module") or Job.module) != Job.module
    if own and not own_module:
        name = next(iter(own))
        meant = hint(name, [*known_options(), *option_aliases()])
        raise UserError(
            subject=f"hyperparameter {name}",
            problem=f"is not known{meant} (trainer train --help)",
        )
    named = ((field_of(key), value) for key, value in own.items())
    pairs = (*named, *told.get("hp", ()), *flags.get("hp", ()))
    if pairs and not own_module:
        name = pairs[0][0]
        meant = hint(name, [flag(known_name) for known_name in known_options()])
        raise UserError(
            subject=f"--hp {name}",
            problem="only a model of your own (--module) has hyperparameters besides the "
            f"flags{meant}",
        )
    for said, said_by in ((told, told_by), (flags, {name: flag(name) for name in flags})):
        # The two ways to say how long exclude each other; the stronger word counts.
        for length, other in (("steps", "epochs"), ("epochs", "steps")):
            if said.get(length) is not None:
                values.pop(other, None)
                sources.pop(other, None)
        values |= said
        sources |= said_by
    if pairs:
        # Each by its last word, so that a flag changes one of them and keeps the others.
        values["hp"] = tuple(dict(pairs).items())
        sources.setdefault("hp", "hyperparameters that only the module knows")
    return values, sources


def _resembling(pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return a line for each hyperparameter of the user's module that may be meant for a flag."""
    found = ((name, closest(name, [flag(own) for own in known_options()])) for name, _ in pairs)
    return tuple(
        f"hyperparameter {name}: passed on to your module; the trainer's own flag is {meant}"
        for name, meant in found
        if meant
    )


def _hyperparameters(
    given: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """Fields by name, what said so, and what is no field: perhaps of a user's own module."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    own: dict[str, str] = {}
    for key, value in given.items():
        name, where = field_of(key), f"hyperparameter {key}"
        if name not in known_options():
            said = unquoted(value)
            own[key] = "" if said is None else text(said)
            continue
        value = coerce_value(name, value, where=where)
        if value is None:
            continue
        if values.get(name, value) != value:
            raise UserError(
                subject=where,
                problem=f"contradicts {sources[name]}",
                remedy="send one of the two",
            )
        values[name], sources[name] = value, where
    return values, sources, own


def _spread(
    values: dict[str, Any], sources: dict[str, str], flags: Mapping[str, Any], *, trial: str | None
) -> None:
    """Put what has no folder of its own into the job's folder; a trial's into one below it."""
    base = str(values["job_dir"]).rstrip("/")
    if trial and not base.endswith(f"/{trial}"):
        base = f"{base}/{trial}"
    # As a flag it is stronger than the platform's folders.
    named = flags if "job_dir" in flags else values
    for name, folder in (JOB_FOLDERS | {"output_dir": ""}).items():
        if name not in named:
            values[name], sources[name] = base + folder or "/", sources["job_dir"]
