"""The test data of a job, and notes on the data that it does not use."""

from __future__ import annotations

from trainer.config import Job, UserError
from trainer.data import files


def test_paths(job: Job) -> tuple[str, ...] | None:
    """Return the paths of the test data: those of `--test`, else of `--train`, which holds both.

    Returns:
        None if there is no test data, so that nothing is evaluated; no paths for synthetic digits.
    """
    if job.test or not job.train:
        return job.test
    return job.train if files.holds_split(job.train, "test") else None


def check_evaluated(job: Job, *, evaluated: bool) -> None:
    """Check that a job without data to evaluate on asks for nothing that needs some.

    Args:
        job: The job.
        evaluated: True if there is such data.

    Raises:
        UserError: It does.
    """
    if evaluated:
        return
    needs = [
        (f"--target-accuracy {job.target_accuracy}", job.target_accuracy is not None),
        ("tuning job", job.trial is not None),
    ]
    for subject, is_asked in needs:
        if is_asked:
            raise UserError(
                subject=subject,
                problem="needs an accuracy, and there is no test data to evaluate on",
                remedy="name some with --test",
            )


def notes(job: Job) -> list[str]:
    """Return lines on files that lie among the data of a job and are not used."""
    if job.module != Job.module or not job.train:
        return []
    return files.notes(job.train, test_paths(job) or (), shared=job.shard_by == "host")
