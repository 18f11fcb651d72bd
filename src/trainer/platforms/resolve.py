"""Resolve the environment and the flags of a process to its `Job`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.config import TASK_VARIABLE, Cluster, Job, UserError, job_from_flags
from trainer.distribution import default_strategy, spec_named, strategies_where
from trainer.platforms.base import Environment, PlatformSettings
from trainer.platforms.coerce import known_options
from trainer.platforms.gpus import count_gpus, gpu_evidence, gpus_are_hidden
from trainer.platforms.job_secret import is_secret, read_secret
from trainer.platforms.merge import merge_fields, resembling_notes
from trainer.platforms.process_env import read_started_process
from trainer.platforms.registry import detect_platform

# MLflow's own variables, and the field of `Job` that each sets.
TRACKING_VARIABLES = {
    "MLFLOW_TRACKING_URI": "mlflow_uri",
    "MLFLOW_EXPERIMENT_NAME": "mlflow_experiment",
    "MLFLOW_RUN_ID": "mlflow_run",
}


@dataclass(frozen=True, kw_only=True)
class ResolvedJob:
    """A job, and the reasons for it.

    Attributes:
        job: The job.
        platform: The name of its platform.
        because: Why this process was found to run on that platform.
        sources: For each field that is not a default, the flag, variable or file that set it.
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
        flags: The flags that were given, by field name; other names are ignored.

    Raises:
        UserError: A variable, file, hyperparameter or flag is malformed, or two of them contradict
            each other.
    """
    platform, because = detect_platform(environment)
    settings = platform.read(environment)
    secret, secret_source = read_secret(environment.env, settings.hyperparameters)
    others = {k: v for k, v in settings.hyperparameters.items() if not is_secret(k)}
    settings = dataclasses.replace(settings, hyperparameters=others)
    settings = _with_tracking(settings)
    flags = {name: value for name, value in flags.items() if name in known_options()}
    values, sources = merge_fields(settings, flags)
    notes = (*settings.notes, *platform.finalize(settings, values, sources))
    notes += resembling_notes(values.get("hp", ()))
    cluster, started = settings.cluster, read_started_process(environment)
    if started:
        cluster, sources["cluster"] = started
        cluster = dataclasses.replace(cluster, interface=settings.cluster.interface)
    gpus = 0 if values.get("device") == "cpu" else count_gpus(environment)
    started_by = sources.get("cluster") if started else None
    values["distribution"] = _strategy(values, cluster, gpus=gpus, started_by=started_by)
    strategy = spec_named(values["distribution"])
    strategy.check_shard_by(values.get("shard_by"), sources.get("shard_by", ""))
    if settings.reducers and strategy.uses_nccl and cluster.role != "ps" and cluster.ps:
        notes += (
            f"workerpool2: {len(cluster.ps)} taken for Vertex AI's Reduction Server, as "
            f"--distribution {values['distribution']} has no parameter servers",
        )
        cluster = dataclasses.replace(cluster, ps=())
    if secret_source:
        sources["secret"] = secret_source
    failure_file = platform.failure_file(environment)
    expected, gpu_notes = _expected_gpu(environment, values, launched=started is not None)
    job = dataclasses.replace(
        job_from_flags(values),
        platform=platform.name,
        cluster=cluster,
        launched=started is not None,
        gpus=gpus,
        gpu_expected=expected,
        # The chief evaluates, and alone reports the metric.
        trial=settings.trial if cluster.is_chief else None,
        stopped_code=settings.stopped_code,
        grace=settings.grace,
        late_evaluators=settings.late_evaluators,
        # A process that was started as one of several sends no messages to other hosts.
        secret=None if started else secret,
        failure_file=str(failure_file) if failure_file else None,
    )
    return ResolvedJob(
        job=job, platform=platform.name, because=because, sources=sources,
        notes=(*notes, *gpu_notes),
    )  # fmt: skip


def _with_tracking(settings: PlatformSettings) -> PlatformSettings:
    """Add MLflow's own variables, which count on every platform."""
    env = settings.environment.env
    found = {name: field for name, field in TRACKING_VARIABLES.items() if env.get(name)}
    return dataclasses.replace(
        settings,
        values={field: env[name] for name, field in found.items()} | dict(settings.values),
        sources={field: name for name, field in found.items()} | dict(settings.sources),
    )


def _strategy(
    values: Mapping[str, Any], cluster: Cluster, *, gpus: int, started_by: str | None
) -> str:
    """Return the strategy that is asked for, or the default of this cluster.

    Args:
        values: Fields of Job by name.
        cluster: The hosts or processes.
        gpus: How many GPUs this host's processes may use.
        started_by: The variable in which a launcher describes this process's place, or None.

    Raises:
        UserError: mpirun or horovodrun started this process, and cannot for this strategy.
    """
    by_mpi = started_by not in (None, TASK_VARIABLE) and cluster.size > 1
    name = values.get("distribution") or default_strategy(
        cluster, gpus=gpus, numbered_by_mpi=by_mpi
    )
    if by_mpi and not spec_named(name).numbered_by_mpi:
        fitting = " or ".join(strategies_where(lambda each: each.numbered_by_mpi))
        raise UserError(
            subject=f"--distribution {name}",
            problem=f"{started_by} says that this is one of {cluster.size} processes that mpirun "
            "or horovodrun started",
            remedy=f"set --distribution {fitting}, or start the trainer without it",
        )
    return str(name)


def _expected_gpu(
    environment: Environment, values: Mapping[str, Any], *, launched: bool
) -> tuple[str | None, tuple[str, ...]]:
    """Return the evidence of a GPU that is to be used, and lines for the log.

    Raises:
        UserError: `--device gpu` asks for one, and CUDA_VISIBLE_DEVICES hides all.
    """
    evidence, device = gpu_evidence(environment), values.get("device")
    if device == "cpu" or not gpus_are_hidden(environment):
        return (None if device == "cpu" else evidence), ()
    hides = f"CUDA_VISIBLE_DEVICES={environment.env['CUDA_VISIBLE_DEVICES']}"
    if device == "gpu" and not launched:
        raise UserError(
            subject="--device gpu",
            problem=f"{hides} hides all GPUs",
            remedy="unset it, or leave --device out",
        )
    # The launcher itself hides the GPUs from processes that do not compute.
    if not evidence or spec_named(values["distribution"]).coordinated:
        return None, ()
    return None, (f"{evidence}: hidden by {hides}, training on the CPU",)
