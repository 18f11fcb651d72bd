"""The figure that trials are compared by: its name in their logs, and its values there."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from trainer.config import MetricGoal
from trainer.sweep.space import Space

_VALUE = r"(-?[0-9.]+)"


def metric_of(space: Space) -> str:
    """Return what trials are compared by, as far as their flags say."""
    flags = {word.partition("=")[0] for word in space.fixed}
    watched = "validation" if flags & {"--validation", "--validation-split"} else "test"
    return f"{watched}_{space.goal.name}"


def regex_of(metric: str) -> str:
    """Return what finds the number in a run's line `step=100 test_accuracy=0.9876 test_loss=…`."""
    return rf"step=[0-9]+ (?:.* )?{re.escape(metric)}={_VALUE}"


def values_in(text: str, metric: str) -> list[tuple[int, float]]:
    """Return step and value of each evaluation in a part of a run's log."""
    found = re.findall(rf"step=(\d+) (?:.* )?{re.escape(metric)}={_VALUE}", text)
    return [(int(step), float(value)) for step, value in found]


def last_value(metrics: Mapping[str, Any], goal: MetricGoal) -> float | None:
    """Return the figure that `metrics.json` has: of the validation data, if there is any."""
    for split in ("validation", "test"):
        value = (metrics.get(f"{split}_metrics") or {}).get(goal.name)
        value = metrics.get(f"{split}_{goal.name}") if value is None else value
        if isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    return None


def shown(value: float | None, goal: MetricGoal) -> str:
    """Return a value as people read it."""
    if value is None:
        return "–"
    return f"{value:.4f}" if goal.name == MetricGoal.name or abs(value) < 1e4 else f"{value:.6g}"
