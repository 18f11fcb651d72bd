"""A model that a notebook has saved, and a module with a mistake."""

from pathlib import Path

import keras

WRONG = """
import keras, numpy as np

def keras_model(hparams):
    i = keras.Input((4,))
    return keras.Model(i, keras.layers.Dense(3, dtype="float32")(i))

def input_fn(paths, mode, batch_size, shard):
    return np.zeros((40, 4), "float32"), np.zeros(40, "float32")
"""
Path("my").mkdir()
Path("my/wrong.py").write_text(WRONG)
net = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)])
net.save("my/net.keras")
