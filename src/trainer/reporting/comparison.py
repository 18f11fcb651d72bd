"""Several runs side by side: their results, the settings in which they differ, and their curves."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.config import MetricGoal, UserError
from trainer.reporting import figures
from trainer.reporting.charts import Chart, compared_curves
from trainer.reporting.html import render_page
from trainer.reporting.parallel import ParallelAxis, parallel_chart
from trainer.reporting.record import RunRecord
from trainer.runtime import display_value

RESULTS = (
    "test_accuracy", "test_loss", "best_test_accuracy", "validation_accuracy", "validation_loss",
    "best_validation_accuracy", "metric", "best_metric", "best_step", "train_accuracy",
    "train_loss", "train_seconds", "images_per_second", "steps", "epochs", "parameters",
)  # fmt: skip
SPLITS = ("test", "validation")
# More axes than these are no longer read.
MOST_AXES = 8
# More words than these on an axis would cover each other.
MOST_WORDS = 10
# As many runs as the page has colours; more are coloured by their accuracy.
MOST_COLOURS = 8
# Numbers whose greatest is so many times the least are scaled by magnitude.
WIDE = 10
# Where results go differs in any case, and says nothing of them.
FOLDERS = ("model_dir", "output_dir", "job_dir", "checkpoint_dir", "log_dir", "timeline")


def render_comparison(runs: Mapping[str, RunRecord]) -> str:
    """Return the page that compares runs.

    Args:
        runs: The records by their names.

    Raises:
        UserError: Their tests are of different tasks.
    """
    check_comparable(runs)
    shown = {run: figures.results_of(record) for run, record in runs.items()}
    names = _merged([list(each) for each in shown.values()])
    charts = compared_curves(runs)
    charts += _parallel(runs)
    return render_page(
        "compare.html",
        charts=charts,
        title=f"{len(runs)} runs compared",
        subtitle=", ".join(runs),
        heads=("Run", *runs),
        results=[(n, *(each.get(n, "–") for each in shown.values())) for n in names],
        differences=[
            (name, *(display_value(value) for value in values))
            for name, values in differences_of(runs).items()
        ],
    )


def _merged(lists: Sequence[Sequence[str]]) -> list[str]:
    """Return all names once, each behind the one before it in its list."""
    names: list[str] = []
    for each in lists:
        place = 0
        for name in each:
            if name not in names:
                names.insert(place, name)
            place = names.index(name) + 1
    return names


def check_comparable(runs: Mapping[str, RunRecord]) -> None:
    """Raise a UserError if two runs learn different classes, or one of them none."""
    found = {run: classes for run, r in runs.items() if (classes := _classes(r)) is not None}
    (first, classes), *others = list(found.items()) or [("", ())]
    for run, other in others:
        if other != classes:
            counts = [f"{len(each)} classes" if each else "no classes" for each in (other, classes)]
            raise UserError(
                subject=run,
                problem=f"its task is another: {counts[0]}, where {first} has {counts[1]}"
                if len(other) != len(classes)
                else f"its {counts[0]} are not those of {first}",
                remedy="compare runs of the same task",
            )


def _classes(record: RunRecord) -> tuple[str, ...] | None:
    """Return the classes of a run's task, none for one without; None if the record does not say."""
    if record.evaluation:
        return tuple(record.evaluation.classes)
    measured = record.test_metrics or record.validation_metrics
    if measured and "accuracy" not in measured:
        return ()
    return tuple(record.class_names or map(str, range(record.classes or 0))) or None


def differences_of(runs: Mapping[str, RunRecord]) -> dict[str, list[Any]]:
    """Return the settings that are not the same in all runs, with the value of each run."""
    settings = [_settings(record) for record in runs.values()]
    names = dict.fromkeys(name for each in settings for name in each)
    columns = {name: [each.get(name) for each in settings] for name in names}
    return {n: values for n, values in columns.items() if any(v != values[0] for v in values)}


def as_csv(runs: Mapping[str, RunRecord]) -> str:
    """Return a line for each run: results, the figures of its own, then hyperparameters."""
    lines = []
    for run, record in runs.items():
        own = {
            f"{split}_{name}": value
            for split in SPLITS
            for name, value in (getattr(record, f"{split}_metrics") or {}).items()
        }
        results = {name: getattr(record, name) for name in RESULTS}
        lines.append(({"run": run, **own, **results}, record.hparams or {}))
    own_names = dict.fromkeys(name for results, _ in lines for name in results)
    hparams = dict.fromkeys(name for _, settings in lines for name in settings)
    names = dict.fromkeys(("run", *RESULTS, *own_names, *hparams))
    file = io.StringIO()
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(settings | results for results, settings in lines)
    return file.getvalue()


def _settings(record: RunRecord) -> dict[str, Any]:
    job = {name: setting.value for name, setting in (record.job or {}).items()}
    data = {f"{name} data": split.kind for name, split in record.data.items()}
    about = {"distribution": record.distribution, "processes": record.processes}
    about |= {f"version of {name}": version for name, version in record.versions.items()}
    return {**about, "device": record.device.get("name"), **data, **(record.hparams or {}), **job}


def _parallel(runs: Mapping[str, RunRecord]) -> list[Chart]:
    """Return parallel coordinates of the settings that differ, what runs are judged by last."""
    hparams = {name for record in runs.values() for name in record.hparams or {}}
    columns = {name: v for name, v in differences_of(runs).items() if name not in FOLDERS}
    # The hyperparameters first: there is no place for all.
    names = sorted(columns, key=lambda name: name not in hparams)
    axes = [axis for axis in (_axis(name, columns[name]) for name in names) if axis]
    found = _score(list(runs.values()))
    if not axes or not found:
        return []
    score, goal = found
    title = f"Each line is a run: the settings that differ, and the {score.name}"
    chart = parallel_chart(
        title, [*axes[: MOST_AXES - 1], score], lines=list(runs),
        by_line=len(runs) <= MOST_COLOURS, lowest_best=not goal.maximize,
    )  # fmt: skip
    return [chart]


def _score(records: Sequence[RunRecord]) -> tuple[ParallelAxis, MetricGoal] | None:
    """Return the axis of what all runs were measured by: their metric, accuracy or loss, if any."""
    chosen = {record.metric for record in records}
    own = (chosen.pop() or "") if len(chosen) == 1 else ""
    goals = [MetricGoal.of(own)] if own.endswith((":max", ":min")) else []
    goals += [MetricGoal(), MetricGoal(name="loss", maximize=False)]
    for goal, split in itertools.product(goals, SPLITS):
        values = [_value(record, goal, split) for record in records]
        if None not in values:
            name = f"{split} {goal.name.replace('_', ' ')}"
            form = ".2%" if goal.name == MetricGoal.name else ".4g"
            return ParallelAxis(name=name, values=values, form=form), goal
    return None


def _value(record: RunRecord, goal: MetricGoal, split: str) -> float | None:
    """Return a figure of a run's end; of one that was stopped, the best before."""
    values: dict[str, float | None] = {
        "accuracy": getattr(record, f"{split}_accuracy"),
        "loss": getattr(record, f"{split}_loss"),
    }
    value = (getattr(record, f"{split}_metrics") or {}).get(goal.name, values.get(goal.name))
    if value is not None:
        return value
    if goal == MetricGoal():
        best: float | None = getattr(record, f"best_{split}_accuracy")
        return best
    is_watched = split == ("validation" if "validation" in record.data else "test")
    return record.best_metric if is_watched and record.metric == goal.text else None


def _axis(name: str, values: list[Any]) -> ParallelAxis | None:
    """Return the axis of a setting: numbers, else words; None if these are too many to read."""
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        log = min(values) > 0 and max(values) / min(values) >= WIDE
        return ParallelAxis(name=name, values=values, log=log)
    words = ["–" if value is None else display_value(value) for value in values]
    choices = tuple(dict.fromkeys(words))
    few = len(choices) <= MOST_WORDS
    return ParallelAxis(name=name, values=words, choices=choices) if few else None
