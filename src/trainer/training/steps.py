"""The compiled function of the loop, which takes many training steps in one call.

It is written in TensorFlow's own terms, without AutoGraph: converting Python source takes longer
than the rest of compiling it. Keras' own `fit` does not convert models either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.distribution import SINGLE_PROCESS, Strategy
from trainer.training.task import Task

# Each training step returns these of its batch: the loss it makes smaller, with smoothed labels
# and regularization in it; the plain loss; the task's score, for one the share of examples whose
# class is right.
FIGURES = ("loss", "plain_loss", "score")
# And, where the strategy can tell, the seconds until the gradients of all processes were summed.
EXCHANGE = "exchange"


def figures_of(strategy: Strategy) -> tuple[str, ...]:
    """Return the names of the figures of a step under a strategy."""
    return (*FIGURES, EXCHANGE) if strategy.times_exchange else FIGURES


def make_train_steps(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    *,
    label_smoothing: float,
    strategy: Strategy = SINGLE_PROCESS,
    feed: Any = None,
    batch_size: int = 0,
    task: Task | None = None,
    own_weights: bool = False,
) -> Callable[[Any, int], np.ndarray]:
    """Compile the training step.

    Args:
        model: From features to what the task's loss takes.
        optimizer: Built for the model's trainable variables.
        label_smoothing: Share of each label's weight that is spread over all classes.
        strategy: The way the processes share the work.
        feed: Passes batches as arguments, see `pipeline.Feed`; None for an iterator.
        batch_size: Examples in a step of all processes, by which the sum of the losses is divided
            where batches have weights that say which rows count.
        task: Computes losses and scores; by default those of integer labels and logits.
        own_weights: True if the weights in batches are those of a module's own data set, by which
            the losses of examples are multiplied.

    Returns:
        A function of a source and a number of steps, which takes the steps and returns what this
        process adds to the figures of each: float32 [steps, figures], see `figures_of`. The source
        is what the feed gives for so many steps, or an iterator over this process's batches.
    """
    one_step = _make_one_step(
        model,
        optimizer,
        label_smoothing=label_smoothing,
        strategy=strategy,
        batch_size=batch_size,
        task=task or Task(model),
        own_weights=own_weights,
    )

    def batch(source: Any, step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return feed.batch(*(rows[step] for rows in source)) if feed else next(source)

    # Without a signature, each new number of steps would be compiled again.
    signature = [feed.spec, tf.TensorSpec((), tf.int32)] if feed else None

    @tf.function(autograph=False, input_signature=signature)
    def train_steps(source: Any, count: tf.Tensor) -> tf.Tensor:
        def body(step: tf.Tensor, rows: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            whole = batch(source, step)
            figures = strategy.on_replicas(lambda: one_step(*part_of_replica(strategy, whole)))
            return step + 1, rows.write(step, figures)

        shape = (len(figures_of(strategy)),)
        start = tf.constant(0), tf.TensorArray(tf.float32, size=count, element_shape=shape)
        # One step at a time, in order: each begins with the weights that the last one left.
        _, rows = tf.while_loop(lambda step, _: step < count, body, start, parallel_iterations=1)
        return rows.stack()

    return lambda source, count: strategy.call(train_steps, source, count)


def _make_one_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    *,
    label_smoothing: float,
    strategy: Strategy,
    batch_size: int,
    task: Task,
    own_weights: bool,
) -> Callable[..., tf.Tensor]:
    """Return the step of one replica, a function of features, labels and, perhaps, weights."""
    variables = model.trainable_variables
    values = [variable.value for variable in variables]
    scale = getattr(optimizer, "scale_loss", lambda loss: loss)
    # Gradients are summed over the replicas: the mean over the whole batch is the sum of these.
    share = 1 / strategy.replicas

    def one_step(features: Any, labels: Any, weights: tf.Tensor | None = None) -> tf.Tensor:
        strategy.count_step(optimizer)
        own, weights = (weights, None) if own_weights else (None, weights)
        with tf.GradientTape() as tape:
            outputs = model(features, training=True)
            losses = task.losses(labels, outputs, own, smoothing=label_smoothing)
            if weights is None:
                loss = share * tf.add_n([tf.reduce_mean(losses), *model.losses])
            else:
                # Each example counts the same, wherever it is, and however many a step has.
                loss = tf.reduce_sum(losses * weights) / batch_size
                loss = tf.add_n([loss, *(share * each for each in model.losses)])
            scaled = scale(loss)
        exchange = _update(strategy, optimizer, tape.gradient(scaled, values), variables)
        # Outside of the tape: people compare these with the test set's, no gradient needs them.
        plain = task.losses(labels, outputs, own) if label_smoothing else losses
        scores = task.scores(labels, outputs)
        if weights is None:
            plain_loss, score = (share * tf.reduce_mean(rows) for rows in (plain, scores))
        else:
            plain_loss, score = (
                tf.reduce_sum(rows * weights) / batch_size for rows in (plain, scores)
            )
        return tf.stack([loss, plain_loss, score, *exchange])

    return one_step


def _update(
    strategy: Strategy,
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[Any],
    variables: Sequence[keras.Variable],
) -> list[tf.Tensor]:
    """Update the variables by the gradients of all replicas.

    Returns:
        The seconds for which the sum of the gradients was waited for; none if it is not timed.
        Where the optimizer sums, its update is in it.
    """
    if not strategy.times_exchange:
        optimizer.apply(strategy.sum_gradients(gradients), variables)
        return []
    with tf.control_dependencies([each for each in gradients if each is not None]):
        began = tf.timestamp()
    with tf.control_dependencies([began]):
        # A copy each: what TensorFlow's strategies make of gradients leaves this block's order.
        own = [
            None
            if each is None
            else tf.nest.map_structure(tf.identity, each, expand_composites=True)
            for each in gradients
        ]
        summed = strategy.sum_gradients(own)
    if not strategy.sums_in_update:
        seconds = _seconds_since(began, summed)
    optimizer.apply(summed, variables)
    if strategy.sums_in_update:
        seconds = _seconds_since(began, [variable.value for variable in variables])
    # Each replica of a process waits as long as the others.
    return [tf.cast(seconds, tf.float32) / strategy.local]


def _seconds_since(began: tf.Tensor, results: Sequence[Any]) -> tf.Tensor:
    """Return the seconds from a time until results are there."""
    there = [tf.convert_to_tensor(each) for each in results if each is not None]
    with tf.control_dependencies(there):
        return tf.timestamp() - began


def part_of_replica(strategy: Strategy, batch: Any) -> Any:
    """Return one replica's part of its process's batch; training batches divide evenly."""
    if strategy.local == 1:
        return batch
    own = slice(strategy.replica(), None, strategy.local)
    return tf.nest.map_structure(lambda each: None if each is None else each[own], batch)
