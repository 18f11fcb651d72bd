"""What a `trainer train` process does with its job, from the first check to the exit code."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import Any

from trainer.config import TASK_VARIABLE, Job
from trainer.data import selection
from trainer.distribution import spec_of
from trainer.launch import end_with_parent
from trainer.models import recipes
from trainer.platforms import PLATFORMS, ResolvedJob
from trainer.runtime import (
    Reporter,
    StoppedError,
    StopRequest,
    device,
    handling_stop_signals,
    import_tensorflow,
    reinstall_stop_handlers,
)
from trainer.storage import exclusive
from trainer.training import preflight
from trainer.training.callbacks import Hooks
from trainer.training.hypertune import MetricFile
from trainer.training.import_model import import_model
from trainer.training.staging import Stage, staged


def run_job(resolved: ResolvedJob) -> int:
    """Train as the job says.

    Args:
        resolved: The job, and how it came about.

    Returns:
        The exit code: 0, or the job's `stopped_code` if it was told to stop.

    Raises:
        UserError: Something is not as it should be.
    """
    job = resolved.job
    if resolved.sources.get("cluster") == TASK_VARIABLE:
        end_with_parent()
    # Of those who all do the same, one says so.
    coordinated = spec_of(job).coordinated
    alike = not coordinated and not job.cluster.is_chief
    reporter = Reporter("WARN" if alike and job.verbosity == "INFO" else job.verbosity)
    serves = coordinated and not job.cluster.is_chief
    with handling_stop_signals(announce=not serves) as stopped:
        if not PLATFORMS[resolved.platform].is_fallback:
            reporter.info(f"platform={resolved.platform} because {resolved.because}")
        for note in resolved.notes:
            reporter.info(note)
        try:
            host = job.cluster.host if job.shard_by == "host" else (0, 1)
            with (
                exclusive(job, tell=reporter.info, stopped=stopped),
                staged(job, host=host, tell=reporter.info, stopped=stopped) as stage,
            ):
                if job.import_model:
                    import_model(stage, reporter)
                    return 0
                if serves:
                    _serve(stage, reporter, stopped)
                    return 0
                preflight.check(stage.job)
                for note in filter(None, (*selection.notes(stage.job), recipes.note(stage.job))):
                    reporter.info(note)
                metrics = _train(stage, reporter, stopped)
        except StoppedError as error:
            reporter.info(str(error))
            return job.stopped_code
    if not metrics["steps"]:
        return job.stopped_code
    stopped_code = job.stopped_code if metrics["stopped"] else 0
    if "model_path" not in metrics:
        return stopped_code
    accuracy = metrics["test_accuracy"]
    shown = "unknown" if accuracy is None else f"{accuracy:.4f}"
    folder = job.output_dir or os.path.dirname(job.model_dir.rstrip("/"))  # noqa: PTH120
    metrics_path = os.path.join(folder, "metrics.json")  # noqa: PTH118
    reporter.info(f"model={metrics['model_path']} test_accuracy={shown} metrics={metrics_path}")
    return stopped_code


def _start_tensorflow(job: Job, reporter: Reporter) -> Any:
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
        say=reporter.info,
    )


def _train(stage: Stage, reporter: Reporter, stopped: StopRequest) -> dict[str, Any]:
    """Train on local paths, and bring the results to where they belong."""
    job = stage.job
    _start_tensorflow(job, reporter)
    from trainer.distribution import make_strategy
    from trainer.training.loop import train_and_evaluate

    strategy = make_strategy(job)
    reinstall_stop_handlers()
    hooks = _hooks(stage, stopped)
    with strategy.around():
        metrics = train_and_evaluate(job, reporter, hooks, strategy)
    strategy.close()
    stage.destination.finish()
    return metrics


def _serve(stage: Stage, reporter: Reporter, stopped: StopRequest) -> None:
    """Do a worker's, server's or evaluator's part, until told to end."""
    job = stage.job
    tf = _start_tensorflow(job, reporter)
    reporter.info(device.device_in_use(tf).line)
    if job.cluster.role == "evaluator":
        from trainer.training.evaluator import evaluate_checkpoints

        hooks = _hooks(stage, stopped)
        evaluate_checkpoints(job, reporter, stopped=stopped, hooks=hooks, refresh=stage.refresh)
        stage.destination.finish()
        return
    from trainer.training.tf_server import serve

    serve(job, reporter, stopped)


def _hooks(stage: Stage, stopped: StopRequest) -> Hooks:
    job = stage.job
    hooks = Hooks(
        stopped=stopped,
        saved=stage.destination.checkpoint_written,
        exported=stage.destination.model_written,
        exported_before=stage.destination.earlier_report,
    )
    if job.trial is not None:
        tuned = MetricFile(job.trial)
        hooks = dataclasses.replace(
            hooks, evaluated=lambda step, accuracy, _: tuned.report(step, accuracy)
        )
    return hooks
