r"""Fashion-MNIST: other pictures in the files of MNIST, with names for the ten classes.

    trainer train --module examples/fashion_mnist.py --train data/fashion-mnist \
        --classes examples/fashion_mnist.txt --model-dir runs/fashion/model

The four files are those of github.com/zalandoresearch/fashion-mnist. The names come from a file
with a line a class: metrics, report and the served model then say `sandal` in place of 5.
"""

from __future__ import annotations

from typing import Any

import keras

RECIPE = {
    "batch_size": 128, "learning_rate": 0.006, "schedule": "one-cycle", "label_smoothing": 0.1,
    "epochs": 5,
}  # fmt: skip


def keras_model(hparams: Any) -> keras.Model:
    """Build three convolutions and two dense layers."""
    image = keras.Input(hparams.input_shape, name="image")
    x = image
    for filters in (32, 64, 64):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Dense(128, activation="relu")(keras.layers.Flatten()(x))
    x = keras.layers.Dropout(0.3)(x)
    return keras.Model(
        image, keras.layers.Dense(hparams.classes, dtype="float32")(x), name="fashion"
    )
