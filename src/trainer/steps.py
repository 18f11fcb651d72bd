"""The compiled functions of the loop: many training steps a call, and an evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from trainer.errors import DataError, UserError


def make_train_steps(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, *, label_smoothing: float
) -> Callable[[Any, tf.Tensor], tf.Tensor]:
    """Compile the training step.

    Args:
        model: From features to logits, or to probabilities if its last activation is a softmax.
        optimizer: Built for the model's trainable variables.
        label_smoothing: Share of each label's weight that is spread over all classes.

    Returns:
        A function of an iterator over batches and a number of steps, int32, which takes the
        steps and returns the loss of each: float32 [steps].
    """
    variables = model.trainable_variables
    values = [variable.value for variable in variables]
    loss_of = make_loss(model, label_smoothing=label_smoothing)
    scale = getattr(optimizer, "scale_loss", lambda loss: loss)

    @tf.function
    def train_steps(iterator: Any, count: tf.Tensor) -> tf.Tensor:
        losses = tf.TensorArray(tf.float32, size=count)
        for step in tf.range(count):
            features, labels = next(iterator)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(loss_of(labels, model(features, training=True)))
                loss = tf.add_n([loss, *model.losses])
                scaled = scale(loss)
            optimizer.apply(tape.gradient(scaled, values), variables)
            losses = losses.write(step, loss)
        return losses.stack()

    return train_steps


def make_evaluate(model: keras.Model) -> Callable[[tf.data.Dataset], tuple[float, float]]:
    """Compile the evaluation: a function of a data set that gives its accuracy and mean loss."""
    loss_of = make_loss(model)

    @tf.function
    def totals(data: tf.data.Dataset) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        right, seen, loss = tf.constant(0), tf.constant(0), tf.constant(0.0)
        for features, labels in data:
            outputs = model(features, training=False)
            found = tf.argmax(outputs, axis=-1, output_type=tf.int32)
            right += tf.math.count_nonzero(found == tf.cast(labels, tf.int32), dtype=tf.int32)
            seen += tf.shape(labels)[0]
            loss += tf.reduce_sum(loss_of(labels, outputs))
        return right, seen, loss

    def evaluate(data: tf.data.Dataset) -> tuple[float, float]:
        right, seen, loss = run(totals, data, data=data)
        if not seen:
            raise DataError("--test: the data set has no examples")
        return float(right / seen), float(loss / seen)

    return evaluate


def make_loss(
    model: keras.Model, *, label_smoothing: float = 0.0
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The cross-entropy of labels, int [n], and the model's outputs [n, classes]: float32 [n]."""
    last = getattr(model.layers[-1], "activation", None) if model.layers else None
    # A softmax in the model is undone, so that one loss serves models of either kind.
    undo = tf.math.log if last is keras.activations.softmax else lambda outputs: outputs

    def loss(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        logits = undo(tf.cast(outputs, tf.float32))
        if not label_smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        classes = logits.shape[-1]
        spread = label_smoothing / classes
        targets = tf.one_hot(labels, classes, 1 - label_smoothing + spread, spread)
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    return loss


def run(function: Callable[..., Any], *args: Any, data: Any) -> Any:
    """Call a compiled function; an error met while reading is raised as it was."""
    try:
        return tf.nest.map_structure(lambda t: t.numpy(), function(*args))
    except tf.errors.OutOfRangeError:
        raise UserError(
            "--module: its training data ended early; input_fn must repeat it"
        ) from None
    except tf.errors.OpError:
        stream = getattr(data, "stream", None)
        if stream is not None and stream.error is not None:
            raise stream.error from None
        raise
