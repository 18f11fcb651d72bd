"""The evaluation: one pass over the test data, compiled batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from trainer.config import DataError
from trainer.distribution import SINGLE_PROCESS, Strategy
from trainer.training.answers import Answers
from trainer.training.steps import make_logits, make_loss, part_of_replica

# What each batch adds up: right answers, examples, losses.
TOTALS = 3


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        accuracy: Share of the examples whose class is right.
        loss: Mean cross-entropy.
        answers: Of this process's examples; None unless they were wanted.
    """

    accuracy: float
    loss: float
    answers: Answers | None = field(default=None, compare=False, repr=False)


def make_evaluate(
    model: keras.Model,
    *,
    strategy: Strategy = SINGLE_PROCESS,
    stopped: Callable[[], bool] = lambda: False,
    with_answers: bool = False,
) -> Callable[[tf.data.Dataset], Evaluation | None]:
    """Compile the evaluation.

    Args:
        model: As for training.
        strategy: The way the processes share the work; each evaluates on its own part of the data.
        stopped: Returns True to give up; asked before each batch.
        with_answers: True keeps what a report shows of the answers.

    Returns:
        A function of this process's data that evaluates the model on that of all processes, each
        of which must call it; None if one of them gave up.
    """
    one_batch = _make_one_batch(model, strategy, with_answers=with_answers)

    @tf.function(autograph=False, reduce_retracing=True)
    def on_batch(*batch: Any) -> tf.Tensor:
        if strategy.local == 1:
            return one_batch(*batch)
        return strategy.on_replicas(lambda: one_batch(*batch))

    def evaluate(data: tf.data.Dataset) -> Evaluation | None:
        right = count = loss = gave_up = 0.0
        answers = Answers() if with_answers else None
        for batch in data:
            if stopped():
                gave_up = 1.0
                break
            found = on_batch(*batch).numpy()
            more = found[:TOTALS].tolist()
            right, count, loss = right + more[0], count + more[1], loss + more[2]
            if answers:
                answers.add(found[TOTALS:], batch)
        right, count, loss, gave_up = strategy.sum((right, count, loss, gave_up)).tolist()
        if gave_up:
            return None
        if not count:
            raise DataError(
                subject="--test",
                problem="the data set has no examples",
            )
        return Evaluation(right / count, loss / count, answers)

    return evaluate


def _make_one_batch(
    model: keras.Model, strategy: Strategy, *, with_answers: bool
) -> Callable[..., tf.Tensor]:
    """Return the evaluation of one replica, a function of a batch of its process.

    It returns float32: `TOTALS` numbers and, of each example of the batch, its loss and logits,
    which are 0 for those of other replicas. These are left out where the model does not choose one
    of some classes.
    """
    loss_of, to_logits = make_loss(model), make_logits(model)

    def one_batch(features: Any, all_labels: tf.Tensor) -> tf.Tensor:
        features, labels = part_of_replica(strategy, (features, all_labels))
        outputs = model(features, training=False)
        losses = loss_of(labels, outputs)
        found = tf.argmax(outputs, axis=-1, output_type=tf.int32)
        right = tf.math.count_nonzero(found == tf.cast(labels, tf.int32), dtype=tf.float32)
        count = tf.cast(tf.shape(labels)[0], tf.float32)
        totals = tf.stack([right, count, tf.reduce_sum(losses)])
        if not with_answers or not _chooses_a_class(labels, outputs):
            return totals
        rows = tf.concat([losses[:, None], to_logits(outputs)], axis=1)
        if strategy.local > 1:
            size = tf.shape(all_labels)[0]
            places = tf.range(strategy.replica(), size, strategy.local)
            rows = tf.scatter_nd(places[:, None], rows, [size, rows.shape[1]])
        return tf.concat([totals, tf.reshape(rows, [-1])], axis=0)

    return one_batch


def _chooses_a_class(labels: tf.Tensor, outputs: tf.Tensor) -> bool:
    return (
        outputs.shape.rank == 2
        and (outputs.shape[-1] or 0) > 1
        and labels.shape.rank == 1
        and labels.dtype.is_integer
    )
