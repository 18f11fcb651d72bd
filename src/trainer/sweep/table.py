"""The trials of a sweep as a table, for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainer.config import MetricGoal
from trainer.sweep.metric import metric_of, shown
from trainer.sweep.record import SweepRecord, TrialRecord


def table_of(record: SweepRecord) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the heads, and a row for each trial: the best first, those without a value last."""
    names = [each.name for each in record.space.dimensions]
    rows = [
        (
            str(each.trial),
            each.state,
            shown(each.last_value, record.space.goal),
            *(short(each.values.get(name)) for name in names),
            "–" if each.seconds is None else f"{each.seconds:.1f}",
            each.error or "",
        )
        for each in sorted(record.trials, key=lambda each: _rank(each, record.space.goal))
    ]
    heads = (
        "trial",
        "state",
        metric_shown(record),
        *names,
        "seconds",
        "error",
    )
    # Most sweeps have no trial that failed.
    return (heads, rows) if any(row[-1] for row in rows) else (heads[:-1], [r[:-1] for r in rows])


def metric_shown(record: SweepRecord) -> str:
    """Return what trials are compared by, in words."""
    return (record.metric or metric_of(record.space)).replace("_", " ")


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of the heads and the rows, in columns, numbers to the right."""
    columns = []
    for head, *cells in zip(heads, *rows, strict=True):
        width = max(map(len, (head, *cells)))
        put = str.rjust if all(map(_is_number, cells)) else str.ljust
        columns.append([put(cell, width) for cell in (head, *cells)])
    return ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]


def short(value: Any) -> str:
    """Return a value as people read it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rank(trial: TrialRecord, goal: MetricGoal) -> tuple[bool, bool, float]:
    value = trial.last_value
    none, value = value is None, value or 0.0
    return trial.value is None, none, -value if goal.maximize else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == "–"
    return True
