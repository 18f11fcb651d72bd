"""Line charts as SVG, for notebooks: the charts of a page without the scripts that draw them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from trainer.reporting.charts import Chart

# The room of a chart, and within it that of the lines.
WIDTH, HEIGHT = 400, 250
LEFT, TOP, RIGHT, BOTTOM = 52, 50, 12, 40
# They can be read on white and on black.
COLORS = ("#3b7dd8", "#e08214", "#2a9d58", "#d1495b", "#8e6bd1", "#1897a6")
# Lines of fewer points show each of them.
FEW = 30


@dataclass(frozen=True, kw_only=True)
class LineScale:
    """The scale of one axis.

    Attributes:
        low: The value at its begin.
        high: The value at its end.
        start: The place of its begin on the screen.
        stop: The place of its end.
    """

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        """Return the place of a value on the screen."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.stop - self.start), 1)


def line_svg(chart: Chart) -> Markup:
    """Return a chart of lines as one SVG element; empty if no point has a finite value.

    Args:
        chart: One of those that `curve_charts` returns.
    """
    encoding = chart.spec["encoding"]
    lines: dict[str, list[tuple[float, float]]] = {}
    for point in chart.spec["data"]["values"]:
        if math.isfinite(point["y"]):
            lines.setdefault(point["series"], []).append((point["x"], point["y"]))
    if not lines:
        return Markup()
    points = [point for line in lines.values() for point in line]
    x = _scale([a for a, _ in points], LEFT, WIDTH - RIGHT)
    y = _scale([b for _, b in points], HEIGHT - BOTTOM, TOP)
    is_share = encoding["y"]["axis"]["format"].endswith("%")
    parts = [
        *_grid(x, y, is_share=is_share),
        *_labels(chart.title, encoding["x"]["title"], [*lines]),
    ]
    for color, line in zip(_colors(len(lines)), lines.values(), strict=True):
        parts += _line([(x.at(a), y.at(b)) for a, b in line], color)
    # All styles are attributes, as notebooks leave style sheets out.
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}" '
        f'style="width:{WIDTH}px;max-width:100%;height:auto" font-family="sans-serif" '
        f'font-size="12" fill="currentColor">{"".join(parts)}</svg>'
    )


def _scale(values: Sequence[float], start: float, stop: float) -> LineScale:
    low, high = min(values), max(values)
    if low == high:
        margin = abs(low) / 2 or 0.5
        low, high = low - margin, high + margin
    return LineScale(low=low, high=high, start=start, stop=stop)


def ticks_of(low: float, high: float, most: int = 6) -> list[float]:
    """Return round values between two others: at most so many, by ones, twos or fives."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(s * power for s in (1, 2, 5, 10, 20) if (high - low) / (s * power) < most)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _grid(x: LineScale, y: LineScale, *, is_share: bool) -> list[str]:
    """Return the lines and numbers of both axes."""
    parts = []
    for value in ticks_of(y.low, y.high):
        text = f"{100 * value:.4g} %" if is_share else f"{value:.4g}"
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y.at(value)}" y2="{y.at(value)}" '
            'stroke="currentColor" stroke-opacity="0.2"/>'
            f'<text x="{LEFT - 6}" y="{y.at(value) + 4}" text-anchor="end">{text}</text>'
        )
    for value in ticks_of(x.low, x.high):
        parts.append(
            f'<text x="{x.at(value)}" y="{HEIGHT - BOTTOM + 16}" '
            f'text-anchor="middle">{value:,.6g}</text>'
        )
    return parts


def _labels(title: str, below: str, series: Sequence[str]) -> list[str]:
    """Return the title, the name of the axis, and the names of several lines."""
    parts = [
        f'<text x="{LEFT}" y="16" font-size="13" font-weight="600">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle" '
        f'opacity="0.7">{escape(below)}</text>',
    ]
    place = float(LEFT)
    for color, name in zip(_colors(len(series)), series, strict=True):
        if len(series) > 1:
            parts.append(
                f'<rect x="{place}" y="28" width="14" height="4" fill="{color}"/>'
                f'<text x="{place + 19}" y="35">{escape(name)}</text>'
            )
            place += 32 + 7 * len(name)
    return parts


def _colors(lines: int) -> list[str]:
    return [COLORS[number % len(COLORS)] for number in range(lines)]


def _line(places: Sequence[tuple[float, float]], color: str) -> list[str]:
    """Return a line, and its points if they are few."""
    joined = " ".join(f"{a:g},{b:g}" for a, b in places)
    parts = [
        f'<polyline points="{joined}" fill="none" stroke="{color}" stroke-width="2" '
        'stroke-linejoin="round"/>'
    ]
    if len(places) < FEW:
        parts += [f'<circle cx="{a:g}" cy="{b:g}" r="3" fill="{color}"/>' for a, b in places]
    return parts
