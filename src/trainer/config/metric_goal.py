"""The figure by which runs are judged, as `--metric r2:max` gives it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainer.config.errors import UserError

_GOALS = ("max", "min")


@dataclass(frozen=True, kw_only=True)
class MetricGoal:
    """A figure of an evaluation, and which of its values is better.

    Attributes:
        name: As an evaluation names it, without the data that it is of.
        maximize: True if the highest value is the best.
    """

    name: str = "accuracy"
    maximize: bool = True

    @classmethod
    def of(cls, text: str) -> MetricGoal:
        """Read `NAME:max` or `NAME:min`; `test_` or `validation_` before the name is left out.

        Raises:
            UserError: It has another form.
        """
        name, _, goal = text.rpartition(":")
        name = name.removeprefix("test_").removeprefix("validation_")
        if goal not in _GOALS or not name:
            raise UserError(
                subject=f"--metric {text}", problem="expected NAME:max or NAME:min, as loss:min"
            )
        return cls(name=name, maximize=goal == "max")

    @property
    def text(self) -> str:
        """The goal as `--metric` takes it."""
        return f"{self.name}:{_GOALS[not self.maximize]}"

    def is_better(self, value: float, best: float) -> bool:
        """Return whether a value is better than the best one before; NaN never is."""
        if math.isnan(value):
            return False
        return value > best if self.maximize else value < best
