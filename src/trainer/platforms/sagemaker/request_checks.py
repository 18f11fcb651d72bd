"""Mistakes in a submission that SageMaker would refuse, or take in another way."""

from __future__ import annotations

import dataclasses

from trainer.config import UserError
from trainer.distribution import spec_named
from trainer.platforms.sagemaker import limits
from trainer.platforms.sagemaker.options import OWN_TAGS, SageMakerOptions
from trainer.platforms.submission import Submission


def hosts_of(submission: Submission, options: SageMakerOptions) -> int:
    """Return how many instances train; groups of them count themselves."""
    if not options.groups:
        return submission.hosts
    found = sum(count for _, _, count in options.groups)
    if submission.hosts not in (1, found):
        raise UserError(
            subject=f"--hosts {submission.hosts}", problem=f"--instance-groups has {found}",
            remedy="leave it out",
        )  # fmt: skip
    strategy = dataclasses.replace(submission, hosts=found).strategy
    if found > 1 and spec_named(strategy).single_process:
        raise UserError(
            subject="--instance-groups", problem=f"--distribution {strategy} trains on one host"
        )
    return found


def check_submission(submission: Submission, options: SageMakerOptions) -> None:
    """Raise a UserError for what SageMaker would refuse, or take in another way."""
    limits.check_name(submission.name, longest=limits.JOB_NAME)
    limits.check_text("--image", submission.image, limits.IMAGE, r".+", "the address of an image")
    if submission.job.layout == "tar" and "layout" in submission.given:
        raise UserError(
            subject="--layout tar", problem="SageMaker packs the model folder itself",
            remedy="leave it out",
        )  # fmt: skip
    for flag, count in (
        ("--parameter-servers", submission.parameter_servers),
        ("--evaluators", submission.evaluators),
    ):
        if count:
            raise UserError(
                subject=f"{flag} {count}", problem="SageMaker's hosts are all alike: with "
                "parameter_server each of them is a server, too", remedy="leave it out",
            )  # fmt: skip
    if submission.spot and options.keep_alive:
        raise UserError(
            subject="--spot and --keep-alive", problem="SageMaker keeps no spare instances",
            remedy="give one of them",
        )  # fmt: skip
    if options.max_wait is not None and not submission.spot:
        raise UserError(subject=f"--max-wait {options.max_wait}", problem="is for --spot alone")
    limits.check_pairs(
        "--tags", submission.tags, limits.TAGS - len(OWN_TAGS), limits.TAG_NAME, limits.TAG_VALUE
    )
    limits.check_pairs(
        "--env", submission.env, limits.ENVIRONMENT, limits.ENVIRONMENT_NAME,
        limits.ENVIRONMENT_VALUE,
    )  # fmt: skip
    for name in submission.env:
        limits.check_text(
            f"--env {name}", name, limits.ENVIRONMENT_NAME, limits.ENVIRONMENT_PATTERN,
            "letters, digits and underscores, no digit first",
        )  # fmt: skip
