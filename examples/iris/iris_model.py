"""Three kinds of Iris from four lengths: the network of SageMaker's bring-your-own-model article.

    python examples/iris/iris_data.py --out data/iris
    trainer train --module examples.iris.iris_model --train data/iris/train.csv \
        --test data/iris/test.csv --model-dir runs/iris/model

Rows go in and probabilities come out: `{"instances": [[6.4, 3.2, 4.5, 1.5]]}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

FEATURES, CLASSES = 4, 3
HIDDEN = (10, 20, 10)
RECIPE = {
    "batch_size": 30,
    "learning_rate": 0.006,
    "schedule": "one-cycle",
    "warmup": 0.1,
    "beta_1": 0.8,
    "beta_2": 0.9,
    "label_smoothing": 0.1,
    "steps": 1500,
}


def keras_model(hparams: Any) -> keras.Model:
    """Build the article's DNNClassifier(hidden_units=[10, 20, 10], n_classes=3): 513 parameters."""
    x = inputs = keras.Input((FEATURES,), name="inputs")
    for units in HIDDEN:
        x = keras.layers.Dense(units, activation="relu")(x)
    logits = keras.layers.Dense(CLASSES, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="iris_dnn")


def input_fn(
    paths: Sequence[str], mode: str, batch_size: int, shard: Any, *, seed: int = 0
) -> tf.data.Dataset:
    """Read rows of four lengths in cm and a class.

    Args:
        paths: CSV files with one line of names.
        mode: `train`: shuffled and endless; `test`: one pass in order.
        batch_size: Rows in a batch.
        shard: This process takes every count-th row, from index on.
        seed: Of the shuffling.

    Returns:
        Lengths float32 [batch, 4] and classes int32 [batch].
    """
    rows = np.concatenate([np.loadtxt(p, np.float32, delimiter=",", skiprows=1) for p in paths])
    data = tf.data.Dataset.from_tensor_slices((rows[:, :FEATURES], rows[:, FEATURES].astype(int)))
    data = data.shard(shard.count, shard.index)
    if mode == "train":
        data = data.shuffle(len(rows), seed=seed).repeat()
    data = data.batch(batch_size, drop_remainder=mode == "train")
    return data.map(lambda lengths, kinds: (lengths, tf.cast(kinds, tf.int32)))


def serving_input_fn(model: keras.Model) -> dict[str, Any]:
    """One signature: `inputs`, float32 [n, 4], to `probabilities` [n, 3] and `classes` [n]."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, FEATURES), name="inputs")])
    def serving_default(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.nn.softmax(tf.cast(model(inputs, training=False), tf.float32))
        return {"probabilities": probabilities, "classes": tf.argmax(probabilities, axis=-1)}

    return {"serving_default": serving_default}
