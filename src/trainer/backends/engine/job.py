"""A job of one or several containers, and the labels by which it is found again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.backends.engine.container import EngineContainer

# Of every container and network of a job, also after its submitter was killed.
JOB = "trainer.job"
# `docker`, `compose`, or the place whose request runs here by `--local`.
PLACE = "trainer.place"
HOST = "trainer.host"
# Of the container whose end is the job's: `true`.
CHIEF = "trainer.chief"
# The paths in the chief's container, or urls.
MODEL, REPORT = "trainer.model", "trainer.report"
# JSON of the folders that a platform keeps, with their names; of a job that `--local` runs.
OUTPUTS = "trainer.outputs"
GRACE = "trainer.grace"


@dataclass(frozen=True, kw_only=True)
class EngineJob:
    """A job as an engine runs it.

    Attributes:
        name: Its name.
        containers: Its containers, the chief's first.
        folders: Folders here that have to be made before.
        pull: When to pull the image: `missing`, `always` or `never`.
    """

    name: str
    containers: tuple[EngineContainer, ...]
    folders: tuple[Path, ...] = ()
    pull: str = "missing"


def job_labels(
    name: str, *, place: str, host: str, chief: bool, model: str, report: str, grace: int
) -> dict[str, str]:
    """Return the labels of one container of a job."""
    labels = {JOB: name, PLACE: place, HOST: host, GRACE: str(grace)}
    if chief:
        labels |= {CHIEF: "true", MODEL: model, REPORT: report}
    return labels


def labels_of(description: dict[str, Any]) -> dict[str, str]:
    """Return the labels of a container that an engine describes."""
    return description.get("Config", {}).get("Labels") or {}


def name_of(description: dict[str, Any]) -> str:
    """Return the name of a container that an engine describes."""
    return str(description["Name"]).lstrip("/")
