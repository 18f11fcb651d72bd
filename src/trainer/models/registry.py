"""The built-in models, by the value of `--model`.

A model is a file with a docstring, whose first line `--help` shows, a recipe, and a function that
builds it. A new one is one new file and one line below:

    # src/trainer/models/linear.py; the table gets the line "linear": "linear",
    '''One dense layer.'''
    import keras

    RECIPE = {"batch_size": 100, "learning_rate": 0.01}

    def keras_model(hparams):
        image = keras.Input(hparams.input_shape, name="image_input")
        logits = keras.layers.Dense(hparams.classes)(keras.layers.Flatten()(image))
        return keras.Model(image, logits, name="linear")

The recipe holds what flags leave open; it is read without importing the file, see `recipes.py`.
"""

from __future__ import annotations

from types import ModuleType

from trainer.config import Registry

MODELS: Registry[ModuleType] = Registry(
    "trainer.models",
    {
        "cnn": "cnn",
        "fast": "fast",
        "sagemaker-cnn": "sagemaker_cnn",
    },
)
