"""The figure by which a run is judged: for the best model and for tuning services."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trainer.config import UserError, suggestion

_GOALS = ("max", "min")


@dataclass(frozen=True, kw_only=True)
class MetricGoal:
    """A figure of an evaluation, and which of its values is better.

    Attributes:
        name: As in `Evaluation.values`.
        maximize: True if the highest value is the best.
    """

    name: str = "accuracy"
    maximize: bool = True

    @property
    def text(self) -> str:
        """The goal as `--metric` takes it."""
        return f"{self.name}:{_GOALS[not self.maximize]}"

    def is_better(self, value: float, best: float) -> bool:
        """Return whether a value is better than the best one before; NaN never is."""
        if math.isnan(value):
            return False
        return value > best if self.maximize else value < best


def goal_of(metric: str | None, names: Sequence[str]) -> MetricGoal:
    """Return the goal of a run.

    Args:
        metric: `NAME:max` or `NAME:min`; None for the highest accuracy, or the lowest loss where
            there is none.
        names: The figures of an evaluation.

    Raises:
        UserError: It has another form, or there is no such figure.
    """
    if metric is None:
        is_right = "accuracy" in names
        return MetricGoal(name="accuracy" if is_right else "loss", maximize=is_right)
    name, _, goal = metric.rpartition(":")
    name = name.removeprefix("test_").removeprefix("validation_")
    if goal not in _GOALS or not name:
        raise UserError(
            subject=f"--metric {metric}", problem="expected NAME:max or NAME:min, as loss:min"
        )
    if name not in names:
        raise UserError(
            subject=f"--metric {metric}",
            problem=f"an evaluation has no {name}{suggestion(name, names)}",
            remedy=f"expected one of {', '.join(names)}",
        )
    return MetricGoal(name=name, maximize=goal == "max")
