"""The plain feed-forward network of TensorFlow's first MNIST tutorial, on the trainer's own data.

    trainer train --module examples.mnist_mlp --train data/mnist --model-dir runs/mlp/model

A module needs one function, which makes the model: reading, loss and signatures are the trainer's.
`RECIPE` holds what flags leave open, `HPARAMS` what is special: `--units 256`, or a hyperparameter
of the platform.
"""

from __future__ import annotations

from typing import Any

import keras

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
HPARAMS = {"units": {"default": 512, "low": 1, "help": "width of the hidden layer"}}


def keras_model(hparams: Any) -> keras.Model:
    """Flatten, a hidden layer, dropout, logits: 407,050 parameters for MNIST and 512 units."""
    image = keras.Input(hparams.input_shape, name="image_input")
    x = keras.layers.Dense(hparams.units, activation="relu")(keras.layers.Flatten()(image))
    x = keras.layers.Dropout(hparams.dropout)(x)
    logits = keras.layers.Dense(hparams.classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="mnist_mlp")
