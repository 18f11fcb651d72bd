"""Vega-Lite specifications of the charts of a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.reporting.record import (
    CalibrationBin,
    Curves,
    RunRecord,
    TestColumns,
    TrainColumns,
)

# A curve on a page has no more points than a screen can show; the last is always one of them.
MOST_POINTS = 400


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of a page.

    Attributes:
        id: Of its element.
        group: The section that it belongs to.
        title: Its caption.
        spec: The Vega-Lite specification.
        width: In rem, at least; a narrower screen scrolls.
    """

    id: str
    group: str
    title: str
    spec: Mapping[str, Any]
    width: float = 0


def curve_charts(curves: Curves) -> list[Chart]:
    """Return the charts of one run's learning curves."""
    train = curves.train
    named: dict[str, TrainColumns | TestColumns] = {
        "training": train,
        "validation": curves.validation,
        "test": curves.test,
    }
    classifies = any(value is not None for curve in named.values() for value in curve.accuracy)
    charts = []
    for column, title, form in (
        ("loss", f"Loss{' (cross-entropy)' if classifies else ''}", ".3~f"),
        ("accuracy", "Accuracy", ".1~%"),
    ):
        points = [
            point
            for name, curve in named.items()
            for point in _points(curve.step, getattr(curve, column), name)
        ]
        charts += _lines(column, title, points, form=form)
    for number, metric in enumerate(_metrics(named.values())):
        points = [
            point
            for name, curve in named.items()
            for point in _points(curve.step, curve.metrics.get(metric, ()), name)
        ]
        title = metric.replace("_", " ").capitalize()
        charts += _lines(f"metric-{number}", title, points, form=".3~g")
    rate = _points(train.step, train.learning_rate, "training")
    charts += _lines("rate", "Learning rate", rate, form=".2~e")
    speed = _points(train.seconds, train.images_per_second, "training")
    charts += _lines(
        "speed", "Images per second over time", speed, form=",.0f", x="seconds of training"
    )
    return charts


def compared_curves(runs: Mapping[str, RunRecord]) -> list[Chart]:
    """Return the charts of the learning curves of several runs, one over the other."""
    columns = {
        "loss": ("Test loss", "test", "loss", ".3~f"),
        "accuracy": ("Test accuracy", "test", "accuracy", ".1~%"),
        "validation-loss": ("Validation loss", "validation", "loss", ".3~f"),
        "validation": ("Validation accuracy", "validation", "accuracy", ".1~%"),
        "train": ("Training loss", "train", "loss", ".3~f"),
    }
    charts = []
    for name, (title, part, column, form) in columns.items():
        points: list[dict[str, Any]] = []
        for label, run in runs.items():
            if run.curves:
                curve = getattr(run.curves, part)
                points += _points(curve.step, getattr(curve, column), label)
        charts += _lines(name, title, points, form=form)
    for split in ("test", "validation"):
        curves = {label: getattr(run.curves, split) for label, run in runs.items() if run.curves}
        for number, metric in enumerate(_metrics(curves.values())):
            points = [
                point
                for label, curve in curves.items()
                for point in _points(curve.step, curve.metrics.get(metric, ()), label)
            ]
            title = f"{split.capitalize()} {metric.replace('_', ' ')}"
            charts += _lines(f"{split}-metric-{number}", title, points, form=".3~g")
    return charts


def _metrics(curves: Iterable[TrainColumns | TestColumns]) -> list[str]:
    """Return the names of what some curves have besides loss and accuracy."""
    return list(dict.fromkeys(name for curve in curves for name in curve.metrics))


def calibration_chart(bins: Sequence[CalibrationBin]) -> Chart:
    """Return the chart of accuracy over confidence."""
    values = [
        {"confidence": b.confidence, "accuracy": b.accuracy, "images": b.count}
        for b in bins
        if b.count and b.confidence is not None and b.accuracy is not None
    ]
    share = {
        "scale": {"domain": [0, 1]},
        "axis": {"format": ".0%", "tickCount": 5},
        "type": "quantitative",
    }
    axes = {
        "x": {**share, "field": "confidence", "title": "confidence"},
        "y": {**share, "field": "accuracy", "title": "accuracy"},
    }
    diagonal = [{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}]
    layers = [
        {
            "data": {"values": diagonal},
            "mark": {"type": "line", "strokeDash": [5, 5], "color": "#808890"},
            "encoding": axes,
        },
        {
            "mark": {"type": "line", "point": True, "tooltip": {"content": "data"}},
            # By a scale, as the colours of a page are those of its categories.
            "encoding": {**axes, "color": {"datum": "model", "legend": None}},
        },
    ]
    spec = {**chart_frame("Accuracy over confidence"), "data": {"values": values}, "layer": layers}
    title = "Share of right answers over the probability that the model gave them"
    return Chart(id="chart-calibration", group="calibration", title=title, spec=spec)


def chart_frame(title: str) -> dict[str, Any]:
    """Return what the specifications of all charts share."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": title,
        "width": "container",
        "height": 240,
        "autosize": {"type": "fit", "contains": "padding", "resize": True},
    }


def _points(
    at: Sequence[float], values: Sequence[float | None], series: str
) -> list[dict[str, Any]]:
    """Return the points that have a value, thinned out evenly."""
    pairs = [(x, y) for x, y in zip(at, values, strict=False) if y is not None]
    stride = -(-len(pairs) // MOST_POINTS) or 1
    kept = pairs[::-1][::stride][::-1]
    return [{"x": x, "y": y, "series": series} for x, y in kept]


def _lines(
    name: str, title: str, points: list[dict[str, Any]], *, form: str, x: str = "step"
) -> list[Chart]:
    """Return a chart with a line for each series; none without points."""
    if not points:
        return []
    several = len({point["series"] for point in points}) > 1
    few = len(points) < 30
    color: dict[str, Any] = {
        "field": "series",
        "type": "nominal",
        "title": None,
        "sort": None,
        "legend": {} if several else None,
    }
    encoding = {
        "x": {"field": "x", "type": "quantitative", "title": x, "axis": {"tickCount": 6}},
        "y": {
            "field": "y",
            "type": "quantitative",
            "title": None,
            "scale": {"zero": False},
            "axis": {"format": form},
        },
        "color": color,
        "tooltip": [
            {"field": "series", "type": "nominal", "title": "curve"},
            {"field": "x", "type": "quantitative", "title": x, "format": ",.6~g"},
            {"field": "y", "type": "quantitative", "title": title, "format": ".5~g"},
        ],
    }
    mark = {"type": "line", "point": True if few else {"opacity": 0, "size": 40}}
    spec = {**chart_frame(title), "data": {"values": points}, "mark": mark, "encoding": encoding}
    return [Chart(id=f"chart-{name}", group="curves", title=title, spec=spec)]
