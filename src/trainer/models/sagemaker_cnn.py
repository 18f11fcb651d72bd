"""The network of SageMaker's own MNIST sample."""

from __future__ import annotations

import keras
from keras import layers

from trainer.config import Hparams
from trainer.models.image_form import image_form

RECIPE = {
    "batch_size": 128,
    "optimizer": "adam",
    "learning_rate": 0.003,
    "schedule": "one-cycle",
    "warmup": 0.1,
    "beta_1": 0.8,
    "beta_2": 0.9,
    "dropout": 0.4,
    "label_smoothing": 0.1,
    "epochs": 1.0,
}


def keras_model(hparams: Hparams) -> keras.Model:
    """Build two convolutions and two dense layers: 3,274,634 parameters for MNIST."""
    shape, classes = image_form(hparams, smallest=4)
    image = keras.Input(shape, name="image_input")
    x = layers.Conv2D(32, 5, padding="same", activation="relu")(image)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(64, 5, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(1024, activation="relu")(layers.Flatten()(x))
    x = layers.Dropout(hparams.dropout)(x)
    # The last layer stays in float32 in any precision: its sums go straight into the loss.
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="sagemaker_cnn")
