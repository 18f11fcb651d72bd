"""The page of a sweep: its history, what mattered, its trials and the best command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.reporting import Chart, chart_frame, parallel_chart, render_page
from trainer.sweep.record import SweepRecord, TrialRecord

# More lines than these can no longer be distinguished by colour.
MOST_LINES = 16


def render_sweep(record: SweepRecord, *, importances: Mapping[str, float], name: str) -> str:
    """Return the page.

    Args:
        record: The sweep.
        importances: The share of each parameter in the differences of accuracy.
        name: Of the sweep, for the title.
    """
    charts = [*_history(record.trials), *_importances(importances), *_parallel(record)]
    names = [each.name for each in record.space.dimensions]
    best = next((each for each in record.trials if each.trial == record.best), None)
    subtitle = f"{len(record.trials)} trials"
    if best:
        subtitle += f", the best is {best.trial} with test accuracy {best.test_accuracy:.4f}"
    rows = [
        (
            each.trial, each.state,
            "–" if each.test_accuracy is None else f"{each.test_accuracy:.4f}",
            *(_short(each.values.get(name)) for name in names),
            "–" if each.seconds is None else f"{each.seconds:.1f}",
            each.error or "",
        )
        for each in sorted(record.trials, key=lambda each: -(each.test_accuracy or 0.0))
    ]  # fmt: skip
    return render_page(
        "sweep.html",
        charts=charts,
        title=f"Sweep {name}",
        subtitle=subtitle,
        command=record.command,
        heads=("trial", "state", "test accuracy", *names, "seconds", "error"),
        trials=rows,
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _history(trials: list[TrialRecord]) -> list[Chart]:
    points: list[dict[str, Any]] = []
    best = 0.0
    for each in trials:
        if each.test_accuracy is not None:
            best = max(best, each.test_accuracy)
            points.append({"trial": each.trial, "accuracy": each.test_accuracy, "best": best})
    if not points:
        return []
    title = "Test accuracy of each trial, and the best until then"
    x = {
        "field": "trial", "type": "quantitative", "title": "trial",
        "axis": {"tickMinStep": 1, "format": "d"},
    }  # fmt: skip
    y = {
        "type": "quantitative", "title": None, "scale": {"zero": False},
        "axis": {"format": ".1~%"},
    }  # fmt: skip
    layers = [
        {
            "mark": {"type": "line", "interpolate": "step-after"},
            "encoding": {"x": x, "y": {**y, "field": "best"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 60, "tooltip": {"content": "data"}},
            "encoding": {"x": x, "y": {**y, "field": "accuracy"}},
        },
    ]
    spec = {**chart_frame(title), "data": {"values": points}, "layer": layers}
    return [Chart(id="chart-history", group="history", title=title, spec=spec)]


def _importances(importances: Mapping[str, float]) -> list[Chart]:
    if not importances:
        return []
    title = "Share of each parameter in the differences of accuracy"
    values = [{"parameter": name, "share": share} for name, share in importances.items()]
    encoding = {
        "x": {
            "field": "share", "type": "quantitative", "title": None, "axis": {"format": ".0%"},
        },
        "y": {"field": "parameter", "type": "nominal", "sort": "-x", "title": None},
    }  # fmt: skip
    mark = {"type": "bar", "tooltip": {"content": "data"}}
    spec = {**chart_frame(title), "data": {"values": values}, "mark": mark, "encoding": encoding}
    return [Chart(id="chart-importances", group="importances", title=title, spec=spec)]


def _parallel(record: SweepRecord) -> list[Chart]:
    """Return parallel coordinates of the best trials, with an axis for each range."""
    names = [each.name for each in record.space.dimensions if not each.choices]
    ended = [each for each in record.trials if each.test_accuracy is not None]
    ended.sort(key=lambda each: -(each.test_accuracy or 0.0))
    rows = {
        f"trial {each.trial}": {
            **{name: float(each.values[name]) for name in names},
            "test accuracy": each.test_accuracy or 0.0,
        }
        for each in ended[:MOST_LINES]
    }
    return [parallel_chart(rows)] if names and len(rows) > 1 else []
