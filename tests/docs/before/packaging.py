"""Models of Keras and of MXNet."""

from pathlib import Path

import keras
import made_models

net = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
net.save("net.keras")
made_models.checkpoint(Path(), "mlp", (0, 7))
