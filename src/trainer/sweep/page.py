"""The page of a sweep: its history, what mattered, its trials and the best command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.config import MetricGoal
from trainer.reporting import Chart, ParallelAxis, chart_frame, parallel_chart, render_page
from trainer.sweep.metric import shown as value_shown
from trainer.sweep.record import SweepRecord, TrialRecord
from trainer.sweep.table import metric_shown, table_of

# More lines than these can no longer be seen.
MOST_LINES = 300


def render_sweep(record: SweepRecord, *, importances: Mapping[str, float], name: str) -> str:
    """Return the page.

    Args:
        record: The sweep.
        importances: The share of each parameter in the differences of the metric.
        name: Of the sweep, for the title.
    """
    metric = metric_shown(record)
    goal = record.space.goal
    charts = _history(record.trials, metric, goal)
    charts += [*_importances(importances, metric), *_parallel(record)]
    best = next((each for each in record.trials if each.trial == record.best), None)
    subtitle = f"{len(record.trials)} trials"
    if best:
        subtitle += f", the best is {best.trial} with {metric} {value_shown(best.value, goal)}"
    heads, rows = table_of(record)
    return render_page(
        "sweep.html",
        charts=charts,
        title=f"Sweep {name}",
        subtitle=subtitle,
        command=record.command,
        heads=heads,
        trials=rows,
    )


def _history(trials: list[TrialRecord], metric: str, goal: MetricGoal) -> list[Chart]:
    points: list[dict[str, Any]] = []
    best: float | None = None
    for each in trials:
        if each.value is not None and (best is None or goal.is_better(each.value, best)):
            best = each.value
        if each.last_value is not None:
            points.append({
                "trial": each.trial, "state": each.state, "value": each.last_value, "best": best,
            })  # fmt: skip
    if not points:
        return []
    title = f"{metric.capitalize()} of each trial, and the best until then"
    if any(each["state"] != "complete" for each in points):
        title += "; hollow: ended early"
    tip = [{"field": name, "type": "nominal"} for name in ("trial", "state")]
    tip.append({"field": "value", "type": "quantitative", "format": _form(goal, ".2%")})
    x = {
        "field": "trial", "type": "quantitative", "title": "trial",
        "axis": {"tickMinStep": 1, "format": "d"}, "scale": {"nice": False, "padding": 12},
    }  # fmt: skip
    y = {
        "type": "quantitative", "title": None, "scale": {"zero": False},
        "axis": {"format": _form(goal, ".1~%")},
    }  # fmt: skip
    layers = [
        {
            "mark": {"type": "line", "interpolate": "step-after"},
            "encoding": {"x": x, "y": {**y, "field": "best"}},
        },
        *(
            {
                "transform": [{"filter": f"datum.state {sign} 'complete'"}],
                "mark": {"type": "point", "filled": sign == "==", "size": 60},
                "encoding": {"x": x, "y": {**y, "field": "value"}, "tooltip": tip},
            }
            for sign in ("==", "!=")
        ),
    ]
    spec = {**chart_frame(title), "data": {"values": points}, "layer": layers}
    return [Chart(id="chart-history", group="history", title=title, spec=spec)]


def _importances(importances: Mapping[str, float], metric: str) -> list[Chart]:
    if not importances:
        return []
    title = f"Share of each parameter in the differences of {metric}"
    values = [{"parameter": name, "share": share} for name, share in importances.items()]
    encoding = {
        "x": {
            "field": "share", "type": "quantitative", "title": None,
            "axis": {"format": ".0%", "tickCount": 5},
        },
        "y": {"field": "parameter", "type": "nominal", "sort": "-x", "title": None},
    }  # fmt: skip
    mark = {"type": "bar", "size": 16, "tooltip": {"content": "data"}}
    spec = {
        **chart_frame(title), "height": 50 + 30 * len(values), "data": {"values": values},
        "mark": mark, "encoding": encoding,
    }  # fmt: skip
    return [Chart(id="chart-importances", group="importances", title=title, spec=spec)]


def _parallel(record: SweepRecord) -> list[Chart]:
    """Return parallel coordinates of the best trials, with an axis for each parameter."""
    goal = record.space.goal
    shown = [each for each in record.trials if each.last_value is not None]
    shown.sort(key=lambda each: each.last_value or 0.0, reverse=goal.maximize)
    shown = shown[:MOST_LINES]
    if len(shown) < 2:
        return []
    axes = []
    for each in record.space.dimensions:
        values = [trial.values[each.name] for trial in shown]
        axes.append(
            ParallelAxis(name=each.name, values=values, choices=each.choices)
            if each.choices
            else ParallelAxis(
                name=each.name, values=values, low=each.low, high=each.high, log=each.log
            )
        )
    values = [trial.last_value for trial in shown]
    axes.append(ParallelAxis(name=metric_shown(record), values=values, form=_form(goal, ".2%")))
    early = [trial.value is None for trial in shown]
    title = f"Each line is a trial: what it tried, and its {metric_shown(record)}"
    if any(early):
        title += "; dashed: ended early"
    lines = [f"trial {trial.trial}" for trial in shown]
    chart = parallel_chart(title, axes, lines=lines, early=early, lowest_best=not goal.maximize)
    return [chart]


def _form(goal: MetricGoal, share: str) -> str:
    """Return how values are written: accuracies as a share, others in four digits."""
    return share if goal.name == MetricGoal.name else ".4g"
