"""Vertex AI as a backend of `trainer submit`."""

from __future__ import annotations

from trainer.backends.backend import Backend
from trainer.backends.vertex.forms import as_command, as_json, as_yaml
from trainer.backends.vertex.python_form import as_python
from trainer.backends.vertex.service import VertexService
from trainer.backends.vertex.tuning import tuning_job
from trainer.platforms import VertexOptions, custom_job, vertex_containers


def _bucket(options: VertexOptions) -> str | None:
    return options.staging_bucket.rstrip("/") if options.staging_bucket else None


BACKEND = Backend(
    name="vertex",
    options=VertexOptions,
    connection=("project", "region", "api_endpoint", "logging_endpoint"),
    request=custom_job,
    forms={
        "request": as_json,
        "python": as_python,
        "cli": as_command,
        "yaml": as_yaml,
    },
    connect=VertexService,
    bucket=_bucket,
    tuning=tuning_job,
    containers=vertex_containers,
    limits="gs:// folders are those of the real bucket, and no /gcs mount is there",
)
