"""The folder that a job on Kubernetes writes to: a pod's own disk is lost with it."""

from __future__ import annotations

import dataclasses
import logging

from trainer.config import UserError, flag_of
from trainer.platforms.kubernetes.options import KubernetesOptions
from trainer.platforms.kubernetes.volumes import mounts
from trainer.platforms.submission import INPUTS, Submission

logger = logging.getLogger(__name__)
FOLDERS = ("job_dir", "model_dir", "checkpoint_dir", "log_dir", "output_dir")


def with_destination(submission: Submission, options: KubernetesOptions) -> tuple[Submission, str]:
    """Return the submission with a `--job-dir` that outlives the pods, and that folder.

    Raises:
        UserError: There is no such folder, or it cannot be written to.
    """
    _warn_of_inputs(submission, options)
    base = submission.output
    if base and "://" not in base:
        _check(base, f"--output {base}", options)
    if not base:
        base = next((mount.path for mount in mounts(options) if not mount.read_only), None)
    given = _kept(submission, options)
    job = submission.job
    for name in ("job_dir", "model_dir"):
        if name in given:
            path = str(getattr(job, name)).rstrip("/")
            folder = path if name == "job_dir" else path.rpartition("/")[0] or path
            return dataclasses.replace(submission, given=given), folder
    if not base:
        raise UserError(
            subject="--output",
            problem="what a pod writes to its own disk is lost with it",
            remedy="say where the model goes: --output s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, "
            "or a volume, --volume CLAIM:/PATH",
        )
    folder = f"{base.rstrip('/')}/{submission.name}"
    job = dataclasses.replace(job, job_dir=folder)
    return dataclasses.replace(submission, job=job, given=given | {"job_dir"}), folder


def _kept(submission: Submission, options: KubernetesOptions) -> frozenset[str]:
    """Return the options that are passed on: no folders of the submitter's own machine."""
    left_out = set()
    for name in FOLDERS:
        value = getattr(submission.job, name)
        if name not in submission.given or not value or "://" in value:
            continue
        if any(mount.holds(value) for mount in mounts(options)):
            _check(value, f"{flag_of(name)} {value}", options)
            continue
        left_out.add(name)
        logger.info(
            "%s %s: on no volume; what goes there is kept below --output or the first volume",
            flag_of(name), value,
        )  # fmt: skip
    return submission.given - left_out


def _check(path: str, subject: str, options: KubernetesOptions) -> None:
    """Raise a UserError unless a folder is on a volume that can be written to."""
    holder = next((mount for mount in mounts(options) if mount.holds(path)), None)
    if holder is None:
        raise UserError(
            subject=subject,
            problem="is on the pod's own disk, which is lost with it",
            remedy="name a folder of a volume (--volume CLAIM:/PATH), or s3:// or gs://",
        )
    if holder.read_only:
        raise UserError(subject=subject, problem=f"{holder.path} is mounted read-only")


def _warn_of_inputs(submission: Submission, options: KubernetesOptions) -> None:
    """Log which inputs have to be in the image, as no volume holds them."""
    for name in INPUTS:
        value = getattr(submission.job, name)
        if name not in submission.given or not value:
            continue
        for path in value if isinstance(value, tuple) else (value,):
            is_name = name in ("module", "classes") and "/" not in path
            if is_name or "://" in path or any(mount.holds(path) for mount in mounts(options)):
                continue
            logger.warning(
                "%s %s: on no volume, so that it has to be in the image", flag_of(name), path
            )
