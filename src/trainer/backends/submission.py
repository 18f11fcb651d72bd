"""The submission that flags describe, checked before anything is sent."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.backends.backend import Backend
from trainer.backends.submit_options import SubmitOptions, pairs_of, seconds_of
from trainer.config import Job, UserError, job_from_flags
from trainer.distribution import spec_named
from trainer.platforms import SECRET_VARIABLE, Submission, given_options


def make_submission(
    backend: Backend, options: SubmitOptions, values: Mapping[str, Any], env: Mapping[str, str]
) -> Submission:
    """Return what is to be submitted.

    Args:
        backend: Where to.
        options: The flags before `--`.
        values: The flags of `trainer train` behind it, by field name.
        env: The submitter's environment; of its variables TRAINER_SECRET alone is passed on.

    Raises:
        UserError: The job cannot run as described.
    """
    job = job_from_flags(values)
    image = options.image or backend.image
    if not image:
        raise UserError(
            subject="--image",
            problem=f"{backend.name} pulls the image from a registry, and none is named",
            remedy="push yours with make push-aws or make push-google, and give its name, or set "
            "image in trainer.toml",
        )
    servers = options.parameter_servers
    submission = Submission(
        job=job,
        given=given_options(values),
        name=options.name or _name(job),
        image=image,
        hosts=options.hosts,
        parameter_servers=servers or 0,
        evaluators=options.evaluators,
        max_seconds=seconds_of(options.max_time, flag="--max-time") if options.max_time else None,
        spot=options.spot,
        tags=pairs_of(options.tags, flag="--tags"),
        env=pairs_of(options.env, flag="--env"),
        output=options.output.rstrip("/") if options.output else None,
        secret=env.get(SECRET_VARIABLE) or None,
    )
    _check_hosts(submission)
    return submission


def _check_hosts(submission: Submission) -> None:
    """Raise a UserError unless the strategy has work for all hosts."""
    name = submission.strategy
    spec = spec_named(name)
    if submission.hosts > 1 and spec.single_process:
        raise UserError(
            subject=f"--hosts {submission.hosts}",
            problem=f"--distribution {name} trains on one host",
            remedy="set --distribution multi_worker_mirrored, horovod or parameter_server, or "
            "leave it out",
        )
    for flag, count, role in (
        ("--parameter-servers", submission.parameter_servers, "ps"),
        ("--evaluators", submission.evaluators, "evaluator"),
    ):
        if count and role not in spec.roles:
            raise UserError(
                subject=f"{flag} {count}",
                problem=f"--distribution {name} has no such hosts",
                remedy="set --distribution parameter_server",
            )


def _name(job: Job) -> str:
    """Return a name that sorts by time, and that every place accepts."""
    model = job.hparams.model or "model"
    if job.module != Job.module:
        model = Path(job.module).stem if "/" in job.module else job.module.rpartition(".")[2]
    if job.import_model:
        model = "import"
    plain = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[:20].strip("-")
    now = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return "-".join(part for part in ("trainer", plain, now, secrets.token_hex(2)) if part)
