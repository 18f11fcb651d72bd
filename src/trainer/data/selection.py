"""The paths that each split of a job is read from, and notes on data that it does not use."""

from __future__ import annotations

from trainer.config import TEST_PARTS, Job, Part, Split, UserError
from trainer.data import files

EVALUATED: tuple[Split, ...] = ("test", "validation")
SPLITS: tuple[Split, ...] = ("train", *EVALUATED)
# The remedy of what needs an accuracy where nothing is evaluated.
NAME_SOME = "name some with --test or --validation, or hold some out with --validation-split 0.1"


def paths_of(job: Job, split: Split, *, own_reader: bool) -> tuple[str, ...] | None:
    """Return the paths of a split: None if it is not there, none for synthetic digits.

    Args:
        job: The job.
        split: One of its splits.
        own_reader: True if a module of the user's own reads the data. It gets what is named, and
            need not know of a third split.
    """
    if split == "train":
        return job.train
    if split == "test":
        return test_paths(job)
    if job.validation_split is not None:
        return _held_out(job, own_reader=own_reader)
    return job.validation or (None if own_reader else _validation_among_train(job))


def test_paths(job: Job) -> tuple[str, ...] | None:
    """Return the paths of the test data: those of `--test`, else of `--train`, which holds both.

    Data that is named for validation is tested on only where it is not used for what it is.

    Returns:
        None if there is no test data; no paths for synthetic digits.
    """
    if job.test or not job.train:
        return job.test
    parts: tuple[Part, ...] = ("test", "eval") if job.validation else TEST_PARTS
    return job.train if files.holds_part(job.train, parts) else None


def _held_out(job: Job, *, own_reader: bool) -> tuple[str, ...]:
    """Return the paths of `--train`, of whose data a part is held out.

    Raises:
        UserError: A module of the user's own reads them, or they hold validation data already.
    """
    subject = f"--validation-split {job.validation_split:g}"
    if own_reader:
        raise UserError(
            subject=subject,
            problem="the module's own input_fn reads the training data",
            remedy="name data with --validation, or leave input_fn out",
        )
    if _validation_among_train(job):
        raise UserError(
            subject=subject,
            problem=f"--train {' '.join(job.train)} holds validation data already",
            remedy="leave it out, or name files of training data only",
        )
    return job.train


def _validation_among_train(job: Job) -> tuple[str, ...] | None:
    """Return the paths of `--train` if they hold validation data besides what is tested on."""
    if not job.train or not files.holds_part(job.train, ["validation"]):
        return None
    return job.train if job.test or files.holds_part(job.train, ["test", "eval"]) else None


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
        (f"--early-stop {job.early_stop}", job.early_stop is not None),
        ("tuning job", job.trial is not None),
    ]
    for subject, is_asked in needs:
        if is_asked:
            raise UserError(
                subject=subject,
                problem="needs an accuracy, and there is no data to evaluate on",
                remedy=NAME_SOME,
            )


def notes(job: Job) -> list[str]:
    """Return lines on files that lie among the data of a job and are not used."""
    if job.module != Job.module or not job.train:
        return []
    test, validation = (paths_of(job, s, own_reader=False) or () for s in EVALUATED)
    if job.validation_split is not None:
        validation = ()
    lines = files.notes(job.train, test, validation, shared=job.shard_by == "host")
    if test and not job.test and not files.holds_part(job.train, ["test", "eval"]):
        lines.append("tested on the validation data among --train, as there is no test data")
    return lines
