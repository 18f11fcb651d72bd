"""Figures of a run as people read them, and the tables that are computed from its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.reporting.pictures import PictureRecord
from trainer.reporting.record import ClassificationRecord, RunRecord

# A matrix or list of more classes is no longer read.
MOST_CLASSES = 40


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a confusion matrix.

    Attributes:
        count: Examples.
        share: Of its row, from 0 to 1, for the shade.
        kind: `hit` on the diagonal, else `miss`.
    """

    count: int
    share: float
    kind: str


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """Precision, recall and F1 of a class; None where they are not defined."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    count: int


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A row of a table with a bar in it."""

    name: str
    text: str
    percent: float


@dataclass(frozen=True, kw_only=True)
class CaptionedPicture:
    """A picture, what stands for it where it cannot be seen, and the lines below it."""

    url: str
    text: str
    lines: list[str]
    is_miss: bool


def confusion_rows(evaluation: ClassificationRecord) -> list[dict[str, Any]]:
    """Return a name and cells for each true class; none of what is too large to read."""
    matrix = evaluation.confusion or []
    if len(matrix) > MOST_CLASSES:
        return []
    rows = []
    for i, (name, row) in enumerate(zip(evaluation.classes, matrix, strict=False)):
        total = sum(row) or 1
        # A few mistakes among thousands of hits are still to be seen.
        cells = [
            Cell(
                count=n,
                share=round(n / total if i == j else (n / total) ** 0.5, 3),
                kind="hit" if i == j else "miss",
            )
            for j, n in enumerate(row)
        ]
        rows.append({"name": name, "cells": cells})
    return rows


def class_figures(evaluation: ClassificationRecord) -> list[ClassFigures]:
    """Return the figures of each class, the lowest F1 first."""
    matrix = evaluation.confusion or []
    found = []
    for i, (name, row) in enumerate(zip(evaluation.classes, matrix, strict=False)):
        right, true, predicted = row[i], sum(row), sum(other[i] for other in matrix)
        found.append(
            ClassFigures(
                name=name,
                precision=right / predicted if predicted else None,
                recall=right / true if true else None,
                f1=2 * right / (true + predicted) if true + predicted else None,
                count=true,
            )
        )
    return sorted(found, key=lambda one: -1.0 if one.f1 is None else one.f1)[:MOST_CLASSES]


def calibration_error(evaluation: ClassificationRecord) -> float:
    """Return the mean distance of confidence and accuracy over all examples."""
    bins = [b for b in evaluation.calibration if b.count]
    total = sum(b.count for b in bins) or 1
    return sum(b.count * abs((b.confidence or 0) - (b.accuracy or 0)) for b in bins) / total


def captioned(pictures: Sequence[PictureRecord]) -> list[CaptionedPicture]:
    """Return pictures with what a page says of them."""
    found = []
    for one in pictures:
        lines = [f"true {one.true}"]
        if one.predicted is not None:
            lines.append(f"found {one.predicted}")
        if one.confidence is not None:
            lines.append(f"{100 * one.confidence:.1f}\u00a0% sure")
        if one.loss is not None:
            lines.append(f"loss {one.loss:.3g}")
        number = "" if one.example is None else f"{one.example}"
        where = " of ".join(part for part in (number, one.file) if part)
        found.append(
            CaptionedPicture(
                url=f"data:image/png;base64,{one.png}",
                text=f"Example {where}: {', '.join(lines)}" if where else ", ".join(lines),
                lines=lines,
                is_miss=one.predicted not in (None, one.true),
            )
        )
    return found


def bars(values: Mapping[str, float], *, form: str) -> list[Bar]:
    """Return a bar for each value, as a share of the greatest."""
    most = max(values.values(), default=0) or 1
    return [
        Bar(name=name, text=format(value, form), percent=round(100 * value / most, 1))
        for name, value in values.items()
    ]


def results_of(record: RunRecord) -> dict[str, str]:
    """Return the results of a run as text, without those that it has not."""
    shown = {
        "Test accuracy": percent(record.test_accuracy),
        "Best test accuracy": percent(record.best_test_accuracy),
        "Test loss": number(record.test_loss),
        "Validation accuracy": percent(record.validation_accuracy),
        "Best validation accuracy": percent(record.best_validation_accuracy),
        "Validation loss": number(record.validation_loss),
        **_more_metrics(record),
        "Training accuracy": percent(record.train_accuracy),
        "Training loss": number(record.train_loss),
        "Training time": duration(record.train_seconds),
        "Images per second": number(record.images_per_second, ",.0f"),
        "Steps": f"{record.steps:,}"
        + (" (stopped early)" if record.stopped or record.stopped_early else ""),
        "Epochs": number(record.epochs, ".3g"),
        "Parameters": number(record.parameters, ",d"),
        "Processes": str(record.processes) if record.processes > 1 else None,
    }
    return {name: text for name, text in shown.items() if text is not None}


def _more_metrics(record: RunRecord) -> dict[str, str | None]:
    """Return the figures of a module, and the best value of that which chose the best model."""
    shown = {
        f"{split} {name.replace('_', ' ')}": number(value)
        for split, values in (
            ("Test", record.test_metrics),
            ("Validation", record.validation_metrics),
        )
        for name, value in (values or {}).items()
        if name not in ("accuracy", "loss")
    }
    name = (record.metric or "").partition(":")[0]
    if name and record.best_test_accuracy is None and record.best_validation_accuracy is None:
        split = "validation" if record.validation_metrics else "test"
        shown[f"Best {split} {name.replace('_', ' ')}"] = number(record.best_metric)
    return shown


def percent(value: float | None) -> str | None:
    """Return a share as text."""
    return None if value is None else f"{100 * value:.2f} %"


def number(value: float | None, form: str = ".4g") -> str | None:
    """Return a number as text."""
    return None if value is None else format(value, form)


def duration(seconds: float | None) -> str | None:
    """Return a time as text."""
    if seconds is None:
        return None
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
