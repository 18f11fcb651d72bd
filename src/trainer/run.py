"""What a `trainer train` process does with its job, from the first check to the exit code."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

from trainer import preflight
from trainer.errors import UserError
from trainer.hooks import Hooks
from trainer.hypertune import MetricFile
from trainer.job import Job
from trainer.platforms.resolve import Resolved
from trainer.report import Reporter
from trainer.runtime import import_tensorflow
from trainer.staging import Stage, staged
from trainer.stop import listening
from trainer.transfer import StoppedError


def run(resolved: Resolved) -> int:
    """Train as the job says.

    Args:
        resolved: The job, and how it came about.

    Returns:
        The exit code: 0, or the job's `stopped_code` if it was told to stop.

    Raises:
        UserError: Something is not as it should be.
    """
    job = resolved.job
    reporter = Reporter(job.verbosity)
    with listening(reporter.warn) as stopped:
        check_alone(job)
        if resolved.platform != "local":
            reporter.info(f"platform={resolved.platform} because {resolved.because}")
        for note in resolved.notes:
            reporter.info(note)
        try:
            with staged(job, tell=reporter.info, stopped=stopped) as stage:
                preflight.check(stage.job)
                metrics = _train(stage, reporter, stopped)
        except StoppedError as error:
            reporter.info(str(error))
            return job.stopped_code
    if not metrics["steps"]:
        return job.stopped_code
    accuracy = metrics["test_accuracy"]
    shown = "unknown" if accuracy is None else f"{accuracy:.4f}"
    folder = job.output_dir or os.path.dirname(job.model_dir.rstrip("/"))  # noqa: PTH120
    metrics_path = os.path.join(folder, "metrics.json")  # noqa: PTH118
    reporter.info(f"model={metrics['model_path']} test_accuracy={shown} metrics={metrics_path}")
    return job.stopped_code if metrics["stopped"] else 0


def _train(stage: Stage, reporter: Reporter, stopped: Callable[[], bool]) -> dict[str, Any]:
    """Train on local paths, and bring the results to where they belong."""
    job = stage.job
    import_tensorflow(
        threads=job.threads, quiet=job.verbosity != "DEBUG", deterministic=job.deterministic
    )
    from trainer.train import train_and_evaluate

    hooks = Hooks(stopped=stopped, saved=stage.on_checkpoint, exported=stage.on_export)
    if job.trial is not None:
        tuned = MetricFile(job.trial)
        hooks = dataclasses.replace(
            hooks, evaluated=lambda step, accuracy, _: tuned.report(step, accuracy)
        )
    metrics = train_and_evaluate(job, reporter, hooks)
    stage.finish()
    return metrics


def check_alone(job: Job) -> None:
    """Raise a UserError if the job has more than this one process."""
    if job.cluster.size > 1:
        raise UserError(
            f"this is {job.cluster}, but the trainer runs on one host: set instance_count=1 "
            "(SageMaker) or one worker pool of one replica (Vertex AI)"
        )
