"""Two inputs: is the digit in the picture greater than a number?

    trainer train --module examples/two_inputs.py --train data/mnist --model-dir runs/greater/model

The pictures come from `trainer.load_data`, which reads any format; arrays that `input_fn` returns
are shuffled, batched and shared among processes by the trainer. The model asks for both by name:
`{"instances": [{"image": [[[0.0], …]], "number": 3}]}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from trainer import load_data

RECIPE = {"batch_size": 128, "learning_rate": 0.005, "schedule": "one-cycle", "epochs": 2}


def keras_model(hparams: Any) -> keras.Model:
    """Build a convolution over the picture, and two dense layers over both."""
    image = keras.Input((28, 28, 1), name="image")
    number = keras.Input((), name="number", dtype="int32")
    x = keras.layers.Conv2D(16, 5, strides=2, activation="relu")(image)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D()(x))
    which = keras.layers.Embedding(10, 16)(number)
    x = keras.layers.Dense(64, activation="relu")(keras.layers.Concatenate()([x, which]))
    greater = keras.layers.Dense(1, dtype="float32", name="greater")(x)
    return keras.Model({"image": image, "number": number}, greater, name="two_inputs")


def input_fn(paths: Sequence[str], mode: Any, batch_size: int, shard: Any) -> Any:
    """Return the pictures, a random number for each, and whether its digit is greater: 0 or 1."""
    batches = [*load_data(paths, mode, batch_size=1000, shuffle=False)]
    images, digits = (np.concatenate([np.asarray(b[part]) for b in batches]) for part in (0, 1))
    numbers = np.random.default_rng(mode == "train").integers(0, 10, digits.size, np.int32)
    return {"image": images, "number": numbers}, (digits > numbers).astype(np.int32)
