"""Vertex AI as a backend of `trainer submit`."""

from __future__ import annotations

from pathlib import Path

from trainer.backends.backend import Backend, Tuning
from trainer.backends.vertex.forms import as_command, as_json, as_yaml
from trainer.backends.vertex.python_form import as_python
from trainer.backends.vertex.service import VertexService
from trainer.backends.vertex.tuning import tuning_job
from trainer.config import UserError, flag_of
from trainer.platforms import (
    INPUTS,
    Submission,
    VertexOptions,
    VertexRequest,
    custom_job,
    vertex_containers,
)


def _bucket(options: VertexOptions) -> str | None:
    return options.staging_bucket.rstrip("/") if options.staging_bucket else None


def _mounted(options: VertexOptions) -> tuple[str, ...]:
    """Return the folder below which Vertex AI mounts the project's buckets."""
    return ("/gcs",)


def _request(submission: Submission, options: VertexOptions) -> VertexRequest:
    _check_inputs(submission)
    return custom_job(submission, options)


def _tuning(submission: Submission, options: VertexOptions, tuning: Tuning) -> VertexRequest:
    _check_inputs(submission)
    return tuning_job(submission, options, tuning)


def _check_inputs(submission: Submission) -> None:
    """Raise a UserError for a local input; where there is a bucket, none is left by now."""
    for name in INPUTS:
        value = getattr(submission.job, name)
        for path in value if isinstance(value, tuple) else (value,):
            # A path that is not here may be one of the image.
            if name in submission.given and path and "://" not in path and Path(path).exists():
                raise UserError(
                    subject=f"{flag_of(name)} {path}",
                    problem="Vertex AI's machines do not have this machine's files",
                    remedy="give --staging-bucket gs://BUCKET, to which they are copied, or name "
                    "a copy in gs://",
                )


BACKEND = Backend(
    name="vertex",
    options=VertexOptions,
    connection=("project", "region", "api_endpoint", "logging_endpoint"),
    request=_request,
    forms={
        "request": as_json,
        "python": as_python,
        "cli": as_command,
        "yaml": as_yaml,
    },
    connect=VertexService,
    bucket=_bucket,
    mounted=_mounted,
    tuning=_tuning,
    containers=vertex_containers,
    local_bucket="gs://local",
    # Compute Engine gives a preempted machine half a minute.
    grace=30,
)
