"""Parallel coordinates: a line for each run or trial, an axis for each setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainer.reporting.charts import Chart, chart_frame

# Ticks nearer than this share of an axis would cover each other.
NEAREST = 0.12


@dataclass(frozen=True, kw_only=True)
class ParallelAxis:
    """An axis of parallel coordinates.

    Attributes:
        name: Its title.
        values: That of each line: numbers, or some of the choices.
        choices: Words from bottom to top; none for an axis of numbers.
        low: The number at the bottom; None for the least value.
        high: The number at the top; None for the greatest value.
        log: True for a scale by magnitude.
        form: How numbers are written.
    """

    name: str
    values: Sequence[Any]
    choices: Sequence[str] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    form: str = ".4g"

    def share(self, value: Any) -> float:
        """Return the place of a value, from 0 at the bottom to 1 at the top."""
        if self.choices:
            low, high, at = 0.0, len(self.choices) - 1.0, float(self.choices.index(value))
        else:
            low, high, at = (self._scaled(number) for number in (*self._ends(), value))
        return (at - low) / (high - low) if high > low else 0.5

    def text(self, value: Any) -> str:
        """Return a value as people read it."""
        return str(value) if self.choices else format(value, self.form)

    def ticks(self) -> list[tuple[float, str]]:
        """Return place and text of each tick: all choices; or both ends and numbers between."""
        if self.choices:
            return [(self.share(word), word) for word in self.choices]
        low, high = self._ends()
        places = {self.share(number): number for number in (low, high)}
        for number in self._between(low, high):
            if all(abs(self.share(number) - place) > NEAREST for place in places):
                places[self.share(number)] = number
        return [(place, self.text(number)) for place, number in places.items()]

    def _between(self, low: float, high: float) -> list[float]:
        if not self.log:
            return [(low + high) / 2]
        return [10.0**n for n in range(math.ceil(math.log10(low)), math.ceil(math.log10(high)))]

    def _ends(self) -> tuple[float, float]:
        low = min(self.values) if self.low is None else self.low
        return low, max(self.values) if self.high is None else self.high

    def _scaled(self, number: float) -> float:
        return math.log10(number) if self.log else float(number)


def parallel_chart(
    title: str,
    axes: Sequence[ParallelAxis],
    *,
    lines: Sequence[str],
    early: Sequence[bool] = (),
    by_line: bool = False,
    lowest_best: bool = False,
) -> Chart:
    """Return parallel coordinates.

    Args:
        title: The caption.
        axes: From left to right; the colour of a line is its value on the last.
        lines: The names of the lines.
        early: Which lines are dashed.
        by_line: Give each line a colour of its own instead.
        lowest_best: The lowest value of the last axis is the best, not the highest.
    """
    score = axes[-1]
    # The best line is drawn last, over the others.
    order = sorted(range(len(lines)), key=lambda i: score.values[i], reverse=lowest_best)
    values = [
        {
            "line": lines[i], "axis": axis.name, "place": place,
            "share": axis.share(axis.values[i]), "value": axis.text(axis.values[i]),
            "score": score.values[i], "early": bool(early and early[i]),
        }
        for i in order
        for place, axis in enumerate(axes)
    ]  # fmt: skip
    ticks = [
        {"axis": axis.name, "share": share, "text": text}
        for axis in axes
        for share, text in axis.ticks()
    ]
    spec = {
        **chart_frame(title),
        "height": 280,
        "data": {"values": values},
        "layer": _layers(axes, ticks, count=len(lines), by_line=by_line),
    }
    return Chart(
        id="chart-parallel", group="parallel", title=title, spec=spec, width=6.5 * len(axes)
    )


def _layers(
    axes: Sequence[ParallelAxis], ticks: list[dict[str, Any]], *, count: int, by_line: bool
) -> list[dict[str, Any]]:
    names = [axis.name for axis in axes]
    x = {
        "field": "axis", "type": "nominal", "sort": names, "title": None,
        "axis": {"labelAngle": 0, "labelLimit": 110, "grid": False},
    }  # fmt: skip
    y = {
        "field": "share", "type": "quantitative", "axis": None,
        "scale": {"domain": [-0.08, 1.08], "nice": False},
    }  # fmt: skip
    form = ".1~%" if axes[-1].form.endswith("%") else ".4~g"
    color: dict[str, Any] = {
        "field": "score", "type": "quantitative", "title": None,
        "legend": {"type": "gradient", "format": form, "gradientLength": 160, "title": names[-1]},
    }  # fmt: skip
    if by_line:
        color = {"field": "line", "type": "nominal", "title": None}
    lines = {
        "mark": {
            "type": "line", "point": {"size": 40 if count < 50 else 15},
            "opacity": 0.9 if count < 50 else 0.5, "strokeWidth": 2 if count < 50 else 1.2,
        },
        "encoding": {
            "x": x, "y": y, "color": color, "detail": {"field": "line"},
            "order": {"field": "place", "type": "quantitative"},
            "strokeDash": {"condition": {"test": "datum.early", "value": [5, 4]}, "value": [1, 0]},
            "tooltip": [{"field": name, "type": "nominal"} for name in ("line", "axis", "value")],
        },
    }  # fmt: skip
    rules = {"data": {"values": [{"axis": name} for name in names]}, "mark": "rule",
             "encoding": {"x": x}}  # fmt: skip
    texts = {
        "data": {"values": ticks},
        "mark": {"type": "text", "dx": 9, "align": "left", "limit": 95, "style": "halo"},
        "encoding": {"x": x, "y": y, "text": {"field": "text"}},
    }
    return [rules, lines, texts]
