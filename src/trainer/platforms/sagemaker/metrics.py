"""The metrics that SageMaker finds in the lines of a run, as `MetricDefinitions`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trainer.config import Job, MetricGoal

NUMBER = "([-+0-9.eE]+)"
# In progress lines, and once in the lines that end a run.
_TRAINING = ("loss", "train_accuracy", "images_per_second", "epoch")


@dataclass(frozen=True, kw_only=True)
class MetricPattern:
    """One metric: what SageMaker calls it, and what finds its number in a line."""

    name: str
    regex: str


def metric_patterns(job: Job) -> tuple[MetricPattern, ...]:
    """Return what SageMaker finds in the lines of a job, by the names of docs/contracts.md.

    Those of an evaluation want a step before them, as the last lines of a run repeat the best.
    """
    splits = ("test", "validation")
    chosen = re.escape(goal_of(job).name)
    figures = tuple(dict.fromkeys(("accuracy", "loss", "mean_absolute_error", chosen)))
    evaluated = [f"{split}_{figure}" for split in splits for figure in figures]
    if job.log_format == "json":
        # There the numbers are fields of one object a line.
        names = [*_TRAINING, *evaluated]
        return tuple(MetricPattern(name=n, regex=rf'"{n}": ?{NUMBER}') for n in names)
    step = r"step=[0-9]+(?: [^ ]+=[^ ]+)*"
    return (
        *(MetricPattern(name=n, regex=rf"(?:^|\s){n}={NUMBER}") for n in _TRAINING),
        *(MetricPattern(name=n, regex=rf"{step} {n}={NUMBER}") for n in evaluated),
        *(
            MetricPattern(name=f"best_{split}_{chosen}", regex=rf"best: {split}_{chosen}={NUMBER}")
            for split in splits
        ),
        MetricPattern(name="train_seconds", regex=r"time: ([0-9.]+) s of training"),
        MetricPattern(name="parameters", regex=r"parameters=([0-9]+)"),
    )  # fmt: skip


def goal_of(job: Job) -> MetricGoal:
    """Return the figure of an evaluation by which a job's best model is chosen."""
    return MetricGoal.of(job.metric) if job.metric else MetricGoal()
