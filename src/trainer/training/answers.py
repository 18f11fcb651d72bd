"""The answers of a model to the test data, folded batch by batch to what a report shows of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

logger = logging.getLogger(__name__)

# A confusion matrix of more classes would be too large to read, and for metrics.json.
MOST_CLASSES = 1000
# Intervals of confidence, of equal width.
BINS = 15
# Examples of the highest loss, and of the smallest margin between the two likeliest classes.
WORST, UNCERTAIN = 24, 12


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The model's answer to one example.

    Attributes:
        position: Number of the example in its process's test data.
        key: The greater, the further in front.
        label: Its class.
        predicted: The class that was found.
        confidence: Probability of that.
        loss: Cross-entropy.
        features: Its features, where they are one array; else None.
    """

    position: int
    key: float
    label: int
    predicted: int
    confidence: float
    loss: float
    features: np.ndarray | None


class Extremes:
    """The answers with the greatest keys.

    Args:
        most: So many are kept.

    Attributes:
        answers: The greatest key first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.answers: list[Answer] = []

    def add(self, keys: np.ndarray, answer: Callable[[int, float], Answer]) -> None:
        """Keep what is in front of what there is.

        Args:
            keys: Of some examples.
            answer: Makes the answer to one of them, given its index and key.
        """
        full = len(self.answers) == self._most
        (found,) = np.nonzero(keys > (self.answers[-1].key if full else -np.inf))
        if found.size > self._most:
            found = found[np.argsort(-keys[found], kind="stable")[: self._most]]
        if found.size:
            more = [answer(int(i), float(keys[i])) for i in found]
            ordered = sorted([*self.answers, *more], key=lambda one: (-one.key, one.position))
            self.answers = ordered[: self._most]


class Answers:
    """The answers to one process's part of the test data.

    An error in here is kept and ends the counting: no report may fail a run.

    Attributes:
        classes: How many the model chooses from; 0 before the first batch.
        examples: How many were answered.
        confusion: Counts int64 [classes, classes], a row for each true class; empty beyond
            `MOST_CLASSES`.
        bins: For each interval of confidence the number of examples, and the sums of their
            confidences and right answers: float64 [BINS, 3].
        worst: Those of the highest loss.
        uncertain: Those of the smallest margin.
        problem: The reason why nothing can be shown; None if there is none.
    """

    def __init__(self) -> None:
        self.classes = self.examples = 0
        self.confusion = np.zeros((0, 0), np.int64)
        self.bins = np.zeros((BINS, 3))
        self.worst, self.uncertain = Extremes(WORST), Extremes(UNCERTAIN)
        self.problem: Exception | None = None
        self.applies = True

    def add(self, rows: np.ndarray, batch: Any) -> None:
        """Count the answers to a batch.

        Args:
            rows: Of each example its class, its loss and its logits, float32 [n · (2 + classes)];
                empty where the model does not choose one of some classes.
            batch: Features, labels and perhaps weights.
        """
        if self.problem or not self.applies:
            return
        if not rows.size:
            self.applies = False
            return
        try:
            # The loss says of itself that it is no number.
            with np.errstate(all="ignore"):
                self._add(rows, batch)
        except Exception as error:
            self.problem = error
            logger.debug("answers", exc_info=error)

    def _add(self, rows: np.ndarray, batch: Any) -> None:
        # A view, where numpy() would copy all of the batch.
        features = np.asarray(batch[0]) if isinstance(batch[0], tf.Tensor) else None
        rows = rows.reshape(batch[1].shape[0], -1)
        labels, losses, logits = rows[:, 0].astype(np.int64), rows[:, 1], rows[:, 2:]
        if not np.isfinite(logits.max(axis=1)).all():
            raise ValueError("the model's outputs are NaN or infinite for some of the examples")
        predicted = logits.argmax(axis=1)
        confidence, second = _two_greatest(logits)
        if not self.classes:
            self.classes = logits.shape[1]
            if self.classes <= MOST_CLASSES:
                self.confusion = np.zeros((self.classes, self.classes), np.int64)
        if self.confusion.size:
            np.add.at(self.confusion, (labels, predicted), 1)
        bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
        for column, weights in enumerate((None, confidence, predicted == labels)):
            self.bins[:, column] += np.bincount(bins, weights, minlength=BINS)

        first = self.examples

        def answer(index: int, key: float) -> Answer:
            return Answer(
                position=first + index,
                key=key,
                label=int(labels[index]),
                predicted=int(predicted[index]),
                confidence=float(confidence[index]),
                loss=float(losses[index]),
                features=None if features is None else np.array(features[index]),
            )

        self.worst.add(losses, answer)
        self.uncertain.add(second - confidence, answer)
        self.examples += len(rows)


def _two_greatest(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two greatest probabilities of each example, the greatest first."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    two = np.partition(powers, -2, axis=1)[:, -2:] / powers.sum(axis=1, keepdims=True)
    return two[:, 1], two[:, 0]
