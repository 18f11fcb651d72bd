"""Checks of a job that need no TensorFlow, so that a mistake is found in the first second."""

from __future__ import annotations

from pathlib import Path

from trainer.config import Job, UserError
from trainer.data import files, selection
from trainer.models import has_own_reader
from trainer.storage import unfinished


def output_dir(job: Job) -> Path:
    """Return the folder of `metrics.json`: beside the model folder unless another is named."""
    return Path(job.output_dir) if job.output_dir else Path(job.model_dir).absolute().parent


def check(job: Job) -> None:
    """Raise a UserError if data is missing or, on the chief, an output folder cannot be written."""
    for flag, paths in ("--test", job.test), ("--validation", job.validation):
        if paths and not job.train:
            raise UserError(
                subject="--train",
                problem=f"not given, but {flag} {' '.join(paths)} is",
                remedy="name both",
            )
    if not has_own_reader(job):
        named = {s: selection.paths_of(job, s, own_reader=False) for s in selection.SPLITS}
        for split, found in named.items():
            # Without any, the digits are synthetic.
            if found and not (split == "validation" and job.validation_split):
                files.find(found, split=split)
        evaluated = named["validation"] is not None or named["test"] is not None
        selection.check_evaluated(job, evaluated=evaluated)
    if job.cluster.is_chief:
        check_outputs(job)


def check_outputs(job: Job) -> None:
    """Raise a UserError if an output folder cannot be written."""
    for flag, folder in [
        ("--model-dir", Path(job.model_dir)),
        ("--output-dir", output_dir(job)),
        ("--checkpoint-dir", Path(job.checkpoint_dir) if job.checkpoint_dir else None),
    ]:
        if folder is not None:
            _check_writable(folder, flag=flag)
    check_log_dir(job)
    if job.profile and not job.log_dir:
        raise UserError(
            subject=f"--profile {job.profile}",
            problem="no --log-dir is given, and the profile is written there",
            remedy="add --log-dir DIR",
        )


def check_log_dir(job: Job) -> None:
    """Raise a UserError if scalars are wanted in a folder that cannot be written."""
    if job.log_dir:
        _check_writable(Path(job.log_dir), flag="--log-dir")


def _check_writable(folder: Path, *, flag: str) -> None:
    """Raise unless a file can be made in `folder`; the folder is made, the file is not left."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with unfinished.temporary_file(folder):
            pass
    except OSError as error:
        raise UserError(
            subject=f"{flag} {folder}",
            problem=f"cannot be written: {error.strerror}",
            remedy="name another folder",
        ) from None
