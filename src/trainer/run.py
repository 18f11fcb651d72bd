"""What a `trainer train` process does with its job, from the first check to the exit code."""

from __future__ import annotations

from trainer import preflight
from trainer.errors import UserError
from trainer.hooks import Hooks
from trainer.hypertune import MetricFile
from trainer.job import Job
from trainer.platforms.resolve import Resolved
from trainer.report import Reporter
from trainer.runtime import import_tensorflow
from trainer.stop import listening


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
        preflight.check(job)
        if resolved.platform != "local":
            reporter.info(f"platform={resolved.platform} because {resolved.because}")
        for note in resolved.notes:
            reporter.info(note)
        import_tensorflow(
            threads=job.threads, quiet=job.verbosity != "DEBUG", deterministic=job.deterministic
        )
        from trainer.train import train_and_evaluate

        hooks = Hooks(stopped=stopped)
        if job.trial is not None:
            tuned = MetricFile(job.trial)
            hooks = Hooks(
                stopped=stopped, evaluated=lambda step, accuracy, _: tuned.report(step, accuracy)
            )
        metrics = train_and_evaluate(job, reporter, hooks)
    return job.stopped_code if metrics["stopped"] else 0


def check_alone(job: Job) -> None:
    """Raise a UserError if the job has more than this one process."""
    if job.cluster.size > 1:
        raise UserError(
            f"this is {job.cluster}, but the trainer runs on one host: set instance_count=1 "
            "(SageMaker) or one worker pool of one replica (Vertex AI)"
        )
