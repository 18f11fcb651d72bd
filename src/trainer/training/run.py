"""The life of a `trainer train` process, from its first check to the exit code."""

from __future__ import annotations

import functools
import logging
from typing import Any

from trainer.config import TASK_VARIABLE, Job
from trainer.data import selection
from trainer.distribution import spec_of
from trainer.launch import end_with_parent
from trainer.models import recipes
from trainer.platforms import PLATFORMS, ResolvedJob
from trainer.runtime import (
    StoppedError,
    StopRequest,
    device,
    handling_stop_signals,
    import_tensorflow,
    log,
    reinstall_stop_handlers,
)
from trainer.storage import locked_folders
from trainer.training import preflight
from trainer.training.import_model import import_model
from trainer.training.last_lines import log_result
from trainer.training.run_origin import RunOrigin
from trainer.training.staging import Stage, staged_locally

logger = logging.getLogger(__name__)


def run_job(resolved: ResolvedJob) -> int:
    """Train as the job says.

    Args:
        resolved: The job, and how it came about.

    Returns:
        The exit code: 0, or the job's `stopped_code` if it was asked to stop.

    Raises:
        UserError: Something is not as it should be.
    """
    job = resolved.job
    if resolved.sources.get("cluster") == TASK_VARIABLE:
        end_with_parent()
    _begin_log(job)
    # The chief of a coordinated strategy runs the steps; the other processes serve it.
    serves = spec_of(job).coordinated and not job.cluster.is_chief
    with handling_stop_signals(announce=not serves) as stop_request:
        if not PLATFORMS[resolved.platform].is_fallback:
            logger.info(f"platform={resolved.platform} because {resolved.because}")
        for note in resolved.notes:
            logger.info(note)
        try:
            metrics = _do(resolved, stop_request, serves=serves)
        except StoppedError as error:
            logger.info(str(error))
            return job.stopped_code
    return 0 if metrics is None else _exit_code(job, metrics)


def _begin_log(job: Job) -> None:
    """Log at the job's level; only the chief at INFO, if all ranks would log the same lines."""
    repeats = not spec_of(job).coordinated and not job.cluster.is_chief
    verbosity = "WARN" if repeats and job.verbosity == "INFO" else job.verbosity
    log.begin(verbosity, form=job.log_format)


def _do(resolved: ResolvedJob, stop_request: StopRequest, *, serves: bool) -> dict[str, Any] | None:
    """Train, import or serve on local paths; return what a training reports."""
    job = resolved.job
    host = job.cluster.host if job.shard_by == "host" else (0, 1)
    with (
        locked_folders(job, stopped=stop_request),
        staged_locally(job, host=host, stopped=stop_request) as stage,
    ):
        if job.import_model:
            import_model(stage)
            return None
        if serves:
            _serve(stage, stop_request)
            return None
        preflight.check(stage.job)
        for note in filter(
            None, (*selection.notes(stage.job), recipes.neutral_values_note(stage.job))
        ):
            logger.info(note)
        return _train(stage, stop_request, RunOrigin.of(resolved))


def _exit_code(job: Job, metrics: dict[str, Any]) -> int:
    """Log where the model is; return the exit code."""
    if not metrics["steps"]:
        return job.stopped_code
    code = job.stopped_code if metrics["stopped"] else 0
    if "model_path" not in metrics:
        return code
    log_result(job, metrics)
    return code


def _start_tensorflow(job: Job) -> Any:
    strategy = spec_of(job)
    computes = strategy.computes(job.cluster.role)
    return import_tensorflow(
        threads=job.threads,
        quiet=job.verbosity != "DEBUG",
        deterministic=job.deterministic,
        device=job.device,
        gpu=strategy.gpu_index(job),
        start=strategy.starts_runtime,
        check=functools.partial(device.check_gpu, job, computes=computes),
        say=logger.info,
    )


def _train(stage: Stage, stop_request: StopRequest, origin: RunOrigin) -> dict[str, Any]:
    """Train on local paths, and bring the results to where they belong."""
    job = stage.job
    _start_tensorflow(job)
    from trainer.distribution import make_strategy
    from trainer.training.loop import train_and_evaluate

    strategy = make_strategy(job)
    reinstall_stop_handlers()
    with strategy.around():
        result = train_and_evaluate(
            job,
            strategy=strategy,
            stop_requested=stop_request,
            destination=stage.destination,
            origin=origin,
        )
    strategy.close()
    stage.destination.finish()
    return result.metrics


def _serve(stage: Stage, stop_request: StopRequest) -> None:
    """Do the part of a worker, a parameter server or an evaluator, until asked to end."""
    job = stage.job
    tf = _start_tensorflow(job)
    logger.info(device.device_in_use(tf).line)
    if job.cluster.role == "evaluator":
        from trainer.training.evaluator import evaluate_checkpoints

        evaluate_checkpoints(
            job,
            stop_request=stop_request,
            refresh=stage.refresh,
            destination=stage.destination,
        )
        stage.destination.finish()
        return
    from trainer.training.tf_server import serve

    serve(job, stop_request)
