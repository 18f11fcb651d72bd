"""The answers to the test data of all processes together, as the report has them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.distribution import Strategy
from trainer.training.answers import BINS, UNCERTAIN, WORST, Answer, Answers
from trainer.training.pictures import Naming, ShownExample, class_name, picture_size, thumbnail

logger = logging.getLogger(__name__)

# Stands for a loss without bounds, which no sum may meet.
MOST_KEY = 1e30
# Columns that stand before the pixels of a picture and after them the bytes of its file's name.
NUMBERS = ("label", "predicted", "confidence", "loss", "example")
NAME_BYTES = 120


@dataclass(frozen=True, kw_only=True)
class AnswerTotals:
    """The answers to all of the test data, as far as a report shows them.

    Attributes:
        step: The step that the weights were of.
        classes: The number of classes.
        confusion: Counts int64 [classes, classes], a row for each true class; empty if that is too
            large.
        bins: See `Answers`.
        worst: The examples of the highest loss as pictures, the highest first.
        uncertain: Those of the smallest margin.
    """

    step: int
    classes: int
    confusion: np.ndarray
    bins: np.ndarray
    worst: list[ShownExample]
    uncertain: list[ShownExample]

    def as_json(self, class_names: Sequence[str] = ()) -> dict[str, Any]:
        """Return it as the `evaluation` of `metrics.json`, which has no pictures.

        Args:
            class_names: The names of the classes by label; numbers where they have none.
        """
        found = []
        for number, (count, confidence, right) in enumerate(self.bins.tolist()):
            mean = {"confidence": confidence / count, "accuracy": right / count} if count else {}
            low, high = number / BINS, (number + 1) / BINS
            found.append({"low": low, "high": high, "count": round(count), **mean})
        return {
            "step": self.step,
            "examples": round(self.bins[:, 0].sum()),
            "classes": [class_name(number, class_names) for number in range(self.classes)],
            "confusion": self.confusion.tolist() or None,
            "calibration": found,
        }


def total_answers(
    answered: tuple[int, Answers] | None,
    strategy: Strategy,
    *,
    features: Any,
    naming: Naming | None,
) -> AnswerTotals | None:
    """Sum the answers over all processes, each of which calls this.

    Args:
        answered: The step of the last evaluation and this process's answers.
        strategy: The way the processes share the work.
        features: The spec of a batch's features, as `tf.data.Dataset.element_spec` has it.
        naming: Names examples; None makes no pictures.

    Returns:
        None where there is nothing to show, or some process has a problem.
    """
    step, answers = answered or (0, Answers())
    size = picture_size(features) if naming else None
    classes = 0 if answers.problem or not answers.applies else answers.classes
    if not all(_alike(strategy, [classes])) or not classes:
        return None
    has_pictures = all(_alike(strategy, size or (0, 0, 0)))
    confusion = answers.confusion
    sums = strategy.sum([*confusion.ravel().tolist(), *answers.bins.ravel().tolist()])
    worst: list[ShownExample] = []
    uncertain: list[ShownExample] = []
    if has_pictures and size and naming:
        worst = _first(answers.worst.answers, WORST, strategy, size, naming)
        uncertain = _first(answers.uncertain.answers, UNCERTAIN, strategy, size, naming)
    return AnswerTotals(
        step=step,
        classes=classes,
        confusion=sums[: confusion.size].astype(np.int64).reshape(confusion.shape),
        bins=sums[confusion.size :].reshape(answers.bins.shape),
        worst=worst,
        uncertain=uncertain,
    )


def _alike(strategy: Strategy, numbers: Sequence[int]) -> list[bool]:
    """Return for each number whether all processes have the same one, and it is not 0."""
    own = np.asarray(numbers, np.float64)
    total = strategy.sum([*own, *own**2]).reshape(2, -1)
    return [
        one > 0 and square * strategy.processes == one**2
        for one, square in zip(*total.tolist(), strict=True)
    ]


def _first(
    own: list[Answer], most: int, strategy: Strategy, size: tuple[int, int, int], naming: Naming
) -> list[ShownExample]:
    """Return the examples with the greatest keys of all processes."""
    keys = np.zeros((strategy.processes, most, 2))
    for slot, answer in enumerate(own):
        keys[strategy.rank, slot] = 1, min(answer.key, MOST_KEY)
    shared = strategy.sum(keys.ravel().tolist()).reshape(keys.shape)
    there = [(rank, slot) for rank, slot in np.ndindex(shared.shape[:2]) if shared[rank, slot, 0]]
    chosen = sorted(there, key=lambda place: (-shared[*place, 1], place))[:most]
    rows = np.zeros((len(chosen), len(NUMBERS) + int(np.prod(size)) + NAME_BYTES))
    places = [(row, own[slot]) for row, (rank, slot) in enumerate(chosen) if rank == strategy.rank]
    try:
        names = naming.names([answer.position for _, answer in places])
        for (row, answer), name in zip(places, names, strict=True):
            values = (answer.label, answer.predicted, answer.confidence, min(answer.loss, MOST_KEY))
            text = name.file.encode()[:NAME_BYTES].ljust(NAME_BYTES, b"\0")
            rows[row] = [*values, name.number, *thumbnail(answer.features, size).ravel(), *text]
    except Exception as error:
        # The other processes wait for the sum in any case.
        logger.warning("report: some pictures of the test data are not made: %s", error)
        logger.debug("pictures", exc_info=error)
    return [_shown(row, size) for row in strategy.sum(rows.ravel().tolist()).reshape(rows.shape)]


def _shown(row: np.ndarray, size: tuple[int, int, int]) -> ShownExample:
    label, predicted, confidence, loss, example = row[: len(NUMBERS)].tolist()
    pixels, name = np.split(row[len(NUMBERS) :].astype(np.uint8), [int(np.prod(size))])
    return ShownExample(
        pixels=pixels.reshape(size),
        label=int(label),
        predicted=int(predicted),
        confidence=confidence,
        loss=loss,
        example=int(example),
        file=name.tobytes().rstrip(b"\0").decode(errors="ignore"),
    )
