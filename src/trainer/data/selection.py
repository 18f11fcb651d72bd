"""The test data of a job, and notes on the data that it does not use."""

from __future__ import annotations

from trainer.config import Job, UserError
from trainer.data import files


def test_paths(job: Job) -> tuple[str, ...]:
    """Return the paths of the test data: those of `--test`, else of `--train`, which holds both.

    Raises:
        UserError: `--train` is given, but holds no test split.
    """
    if job.test or not job.train:
        return job.test
    if not files.holds_split(job.train, "test"):
        raise UserError(
            subject="--test",
            problem=f"not given, and --train {' '.join(job.train)} holds no test split",
            remedy="name the test data",
        )
    return job.train


def notes(job: Job) -> list[str]:
    """Return lines on files that lie among the data of a job and are not used."""
    if job.module != Job.module or not job.train:
        return []
    return files.notes(job.train, test_paths(job), shared=job.shard_by == "host")
