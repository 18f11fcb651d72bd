"""Losses of examples, by the form of labels and outputs."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf


def make_loss(
    model: keras.Model, *, label_smoothing: float = 0.0
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return a function from labels and a model's outputs to the cross-entropy of each example.

    Args:
        model: Gives logits, or probabilities if its last activation is a softmax.
        label_smoothing: Share of each label's weight that is spread over all classes.

    Returns:
        A function of labels, int [n], and outputs, float [n, classes]: float32 [n].
    """
    to_logits = make_logits(model)

    def loss(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        logits = to_logits(outputs)
        if not label_smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        classes = logits.shape[-1]
        spread = label_smoothing / classes
        targets = tf.one_hot(labels, classes, 1 - label_smoothing + spread, spread)
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    return loss


def make_logits(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function from a model's outputs, float [n, classes], to float32 logits."""
    last = last_activation(model)
    # A softmax in the model is undone, so that one loss serves models of either kind.
    undo = tf.math.log if last is keras.activations.softmax else lambda outputs: outputs
    return lambda outputs: undo(tf.cast(outputs, tf.float32))


def make_logit(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function from a model's one output, float [n] or [n, 1], to float32 logits [n]."""
    last = last_activation(model)

    def logit(outputs: tf.Tensor) -> tf.Tensor:
        values = tf.reshape(tf.cast(outputs, tf.float32), [-1])
        if last is not keras.activations.sigmoid:
            return values
        values = tf.clip_by_value(values, 1e-7, 1 - 1e-7)
        return tf.math.log(values) - tf.math.log1p(-values)

    return logit


def last_activation(model: keras.Model) -> object:
    """Return the activation of a model's last layer; None if it has none."""
    layers = getattr(model, "layers", None)
    return getattr(layers[-1], "activation", None) if layers else None


def mean_of_rows(values: tf.Tensor) -> tf.Tensor:
    """Return one number for each example: the mean over all dimensions but the first."""
    if values.shape.rank == 1:
        return values
    if values.shape.rank is None:
        values = tf.reshape(values, [tf.shape(values)[0], -1])
    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))
