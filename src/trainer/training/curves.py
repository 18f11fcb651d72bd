"""The learning curves of a run, kept in its checkpoints so that a killed run has them whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from trainer.config import Split

# A curve that grows beyond so many points loses every second one.
MOST_POINTS = 2000
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
    """

    step: int
    seconds: float
    loss: float
    accuracy: float | None
    learning_rate: float
    images_per_second: float


@dataclass(frozen=True, kw_only=True)
class EvaluationPoint:
    """The result of an evaluation on validation or test data.

    Attributes:
        step: Steps done.
        seconds: Time of the training steps so far.
        loss: Mean loss.
        accuracy: Share of examples whose class is right; None where there are no classes.
    """

    step: int
    seconds: float
    loss: float
    accuracy: float | None


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

    def as_json(self) -> dict[str, dict[str, list[float]]]:
        """Return the curves as columns: `{"train": {"step": [...], "loss": [...]}, ...}`."""
        found = {
            name: _columns(EvaluationPoint, points) for name, points in self._evaluated.items()
        }
        return {"train": _columns(TrainingPoint, self._train), **found}


def _added(points: list[Point], point: Point) -> list[Point]:
    kept = [each for each in points[-1:] if each.step < point.step]
    kept = [*points[:-1], *kept, point]
    return kept if len(kept) <= MOST_POINTS else [*kept[:-1:2], kept[-1]]


def _columns(kind: type, points: Sequence[Any]) -> dict[str, list[float]]:
    names = [field.name for field in dataclasses.fields(kind)]
    return {name: [getattr(point, name) for point in points] for name in names}


def _read(kind: type[Point], columns: Any, step: int) -> list[Point]:
    """Return the points up to a step; none if what was written is not a curve of this kind."""
    names = [field.name for field in dataclasses.fields(kind)]
    try:
        rows = zip(*(columns[name] for name in names), strict=True)
        points = [kind(**dict(zip(names, row, strict=True))) for row in rows]
        return [point for point in points if point.step <= step]
    except (KeyError, TypeError, ValueError):
        return []
