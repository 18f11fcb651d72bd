"""The figure by which a run is judged: for the best model and for tuning services."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.config import MetricGoal, UserError, suggestion


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
    goal = MetricGoal.of(metric)
    if goal.name not in names:
        raise UserError(
            subject=f"--metric {metric}",
            problem=f"an evaluation has no {goal.name}{suggestion(goal.name, names)}",
            remedy=f"expected one of {', '.join(names)}",
        )
    return goal
