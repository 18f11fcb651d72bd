"""The learning curves of a run, kept in its checkpoints so that a killed run has them whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from trainer.config import Split

# A curve that grows beyond so many points loses every second one.
MOST_POINTS = 2000
# The field of a point that is a column for each of its names.
METRICS = "metrics"
# The splits whose evaluations make a curve.
EVALUATED: tuple[Split, ...] = ("validation", "test")


@dataclass(frozen=True, kw_only=True)
class TrainingPoint:
    """The figures of the training steps since the point before.

    Attributes:
        step: Steps done.
        seconds: Time of the training steps so far.
        loss: Mean loss.
        accuracy: Share of examples whose class was right; None where there are no classes.
        learning_rate: Of the next step.
        images_per_second: Examples in a second.
        metrics: Further figures by name, such as the mean absolute error of a regression.
    """

    step: int
    seconds: float
    loss: float
    accuracy: float | None
    learning_rate: float
    images_per_second: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EvaluationPoint:
    """The result of an evaluation on validation or test data.

    Attributes:
        step: Steps done.
        seconds: Time of the training steps so far.
        loss: Mean loss.
        accuracy: Share of examples whose class is right; None where there are no classes.
        metrics: Further figures by name: of the task and of the module.
    """

    step: int
    seconds: float
    loss: float
    accuracy: float | None
    metrics: Mapping[str, float] = field(default_factory=dict)


Point = TypeVar("Point", bound=TrainingPoint | EvaluationPoint)


class CurveRecorder:
    """Keeps the points of all curves, oldest first, one for each step."""

    def __init__(self) -> None:
        self._train: list[TrainingPoint] = []
        self._evaluated: dict[str, list[EvaluationPoint]] = {name: [] for name in EVALUATED}

    def add_training(self, point: TrainingPoint) -> None:
        """Add a point of training."""
        self._train = _added(self._train, point)

    def add_evaluation(self, point: EvaluationPoint, split: Split = "test") -> None:
        """Add a point of an evaluation; a second one of the same step replaces the first."""
        self._evaluated[split] = _added(self._evaluated[split], point)

    def resume(self, written: Any, *, step: int) -> None:
        """Go on with the curves in a checkpoint.

        Args:
            written: From `as_json`; None in a checkpoint of an earlier version.
            step: The step of the checkpoint; later points are left out.
        """
        curves = written if isinstance(written, Mapping) else {}
        self._train = _read(TrainingPoint, curves.get("train"), step)
        self._evaluated = {
            name: _read(EvaluationPoint, curves.get(name), step) for name in EVALUATED
        }

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return the curves as columns: `{"train": {"step": [...], "loss": [...]}, ...}`."""
        found = {
            name: _columns(EvaluationPoint, points) for name, points in self._evaluated.items()
        }
        return {"train": _columns(TrainingPoint, self._train), **found}


def _added(points: list[Point], point: Point) -> list[Point]:
    kept = [each for each in points[-1:] if each.step < point.step]
    kept = [*points[:-1], *kept, point]
    return kept if len(kept) <= MOST_POINTS else [*kept[:-1:2], kept[-1]]


def _columns(kind: type, points: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {n: [getattr(point, n) for point in points] for n in _names(kind)}
    names = dict.fromkeys(name for point in points for name in point.metrics)
    # A point of an earlier version has none.
    return found | {METRICS: {name: [p.metrics.get(name) for p in points] for name in names}}


def _names(kind: type) -> list[str]:
    """Return the fields of a point that are columns."""
    return [each.name for each in dataclasses.fields(kind) if each.name != METRICS]


def _read(kind: type[Point], columns: Any, step: int) -> list[Point]:
    """Return the points up to a step; none if what was written is not a curve of this kind."""
    names = _names(kind)
    try:
        metrics = _rows(columns.get(METRICS) or {}, len(columns["step"]))
        rows = zip(*(columns[name] for name in names), metrics, strict=True)
        points = [kind(**dict(zip((*names, METRICS), row, strict=True))) for row in rows]
        return [point for point in points if point.step <= step]
    except (AttributeError, KeyError, TypeError, ValueError):
        return []


def _rows(columns: Mapping[str, Sequence[float | None]], count: int) -> list[dict[str, float]]:
    """Return the figures of each point, without those that it has not."""
    rows: list[dict[str, float]] = [{} for _ in range(count)]
    for name, column in columns.items():
        for row, value in zip(rows, column, strict=True):
            if value is not None:
                row[name] = value
    return rows
