"""The evaluation: one pass over validation or test data, compiled batch by batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.config import DataError, Split
from trainer.distribution import SINGLE_PROCESS, Strategy
from trainer.training.answers import Answers
from trainer.training.metrics import NO_METRICS, ModuleMetrics
from trainer.training.steps import part_of_replica
from trainer.training.task import ACCURACY, Task, rows_of

# What each batch adds up: scores, as right answers, examples, losses.
TOTALS = 3


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        accuracy: Share of the examples whose class is right; None where there are no classes.
        loss: Mean loss, the cross-entropy where there are classes.
        answers: Of this process's examples; None unless they were wanted.
        more: Further figures by name: of the task and of the module's metrics.
        split: The data that was evaluated on.
    """

    accuracy: float | None
    loss: float
    answers: Answers | None = field(default=None, compare=False, repr=False)
    more: Mapping[str, float] = field(default_factory=dict)
    split: Split = "test"

    @property
    def values(self) -> dict[str, float]:
        """All figures by name, in the order of the log."""
        first = {} if self.accuracy is None else {ACCURACY: self.accuracy}
        return {**first, "loss": self.loss, **self.more}

    @property
    def by_name(self) -> dict[str, float]:
        """The same by the names that lines and points have, such as `test_accuracy`."""
        return {f"{self.split}_{name}": value for name, value in self.values.items()}


def make_evaluate(
    model: keras.Model,
    *,
    strategy: Strategy = SINGLE_PROCESS,
    stopped: Callable[[], bool] = lambda: False,
    with_answers: bool = False,
    task: Task | None = None,
    metrics: ModuleMetrics = NO_METRICS,
) -> Callable[..., Evaluation | None]:
    """Compile the evaluation.

    Args:
        model: As for training.
        strategy: The way the processes share the work; each evaluates on its own part of the data.
        stopped: Returns True to give up; asked before each batch.
        with_answers: True keeps what a report shows of the answers.
        task: As for training.
        metrics: Of the module, built.

    Returns:
        A function of this process's data, and of the split that it is, that evaluates the model on
        that of all processes, each of which must call it; None if one of them gave up.
    """
    task = task or Task(model)
    one_batch = _make_one_batch(
        model, strategy, with_answers=with_answers, task=task, metrics=metrics
    )

    @tf.function(autograph=False, reduce_retracing=True)
    def on_batch(*batch: Any) -> tf.Tensor:
        if strategy.local == 1:
            return one_batch(*batch)
        return strategy.on_replicas(lambda: one_batch(*batch))

    def evaluate(data: tf.data.Dataset, split: Split = "test") -> Evaluation | None:
        sums, gave_up = np.zeros(TOTALS + metrics.size), 0.0
        answers = Answers() if with_answers else None
        for batch in data:
            if stopped():
                gave_up = 1.0
                break
            rows = on_batch(*batch).numpy()
            sums += rows[: sums.size]
            if answers:
                answers.add(rows[sums.size :], batch)
        *sums_of_all, gave_up = strategy.sum([*sums.tolist(), gave_up]).tolist()
        if gave_up:
            return None
        if not sums_of_all[1]:
            raise DataError(
                subject=f"--{split}",
                problem="the data set has no examples",
            )
        found = _evaluation(sums_of_all, answers, task=task, metrics=metrics)
        return dataclasses.replace(found, split=split)

    return evaluate


def _evaluation(
    sums: Sequence[float], answers: Answers | None, *, task: Task, metrics: ModuleMetrics
) -> Evaluation:
    """Return the result that sums over all examples make."""
    score, count, loss, *added = sums
    more = metrics.results(np.array(added))
    if task.score not in (None, ACCURACY):
        more = {str(task.score): score / count, **more}
    accuracy = score / count if task.score == ACCURACY else None
    return Evaluation(accuracy, loss / count, answers, more)


def _make_one_batch(
    model: keras.Model,
    strategy: Strategy,
    *,
    with_answers: bool,
    task: Task,
    metrics: ModuleMetrics,
) -> Callable[..., tf.Tensor]:
    """Return the evaluation of one replica, a function of a batch of its process.

    It returns float32: `TOTALS` numbers, those of the metrics and, of each example of the batch,
    its class, loss and logits, which are 0 for those of other replicas. These are left out where
    the model does not choose one of some classes.
    """

    def one_batch(features: Any, all_labels: Any, weights: Any = None) -> tf.Tensor:
        features, labels, weights = part_of_replica(strategy, (features, all_labels, weights))
        outputs = model(features, training=False)
        losses = task.losses(labels, outputs, weights)
        score, count = task.sum_of_scores(labels, outputs), tf.cast(rows_of(labels), tf.float32)
        totals = tf.stack([score, count, tf.reduce_sum(losses)])
        if metrics.names:
            added = metrics.added(task.aligned(labels, outputs), outputs, weights)
            totals = tf.concat([totals, added], axis=0)
        choices = task.choices(labels, outputs) if with_answers else None
        if choices is None:
            return totals
        classes, logits = choices
        columns = [tf.cast(classes, tf.float32)[:, None], losses[:, None], logits]
        rows = tf.concat(columns, axis=1)
        if strategy.local > 1:
            size = rows_of(all_labels)
            places = tf.range(strategy.replica(), size, strategy.local)
            rows = tf.scatter_nd(places[:, None], rows, [size, rows.shape[1]])
        return tf.concat([totals, tf.reshape(rows, [-1])], axis=0)

    return one_batch
