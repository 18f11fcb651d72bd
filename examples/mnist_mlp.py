"""The plain feed-forward network of TensorFlow's first MNIST tutorial, on the trainer's own data.

    trainer train --module examples.mnist_mlp --train data/mnist --model-dir runs/mlp/model

A module needs three functions; two of them are the trainer's here, and so is the optional fourth,
which tells how an exported model is compared with the trained one. `RECIPE` holds what flags leave
open. What is special is set by `--hp units=256`, or as a hyperparameter of the platform.
"""

from __future__ import annotations

from typing import Any

import keras

from trainer.model import (
    input_fn as input_fn,
    serving_input_fn as serving_input_fn,
    serving_samples as serving_samples,
)

RECIPE = {
    "batch_size": 64,
    "learning_rate": 0.006,
    "schedule": "one-cycle",
    "warmup": 0.1,
    "beta_1": 0.8,
    "beta_2": 0.9,
    "dropout": 0.4,
    "label_smoothing": 0.1,
}


def keras_model(hparams: Any) -> keras.Model:
    """Flatten, a hidden layer of 512 units, dropout, 10 logits: 407,050 parameters."""
    units = int(dict(hparams.hp).get("units", 512))
    image = keras.Input((28, 28, 1), name="image_input")
    x = keras.layers.Dense(units, activation="relu")(keras.layers.Flatten()(image))
    x = keras.layers.Dropout(hparams.dropout)(x)
    logits = keras.layers.Dense(10, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="mnist_mlp")
