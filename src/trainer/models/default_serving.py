"""The signatures of a module that leaves both reading and serving to the trainer."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from trainer.data import ImageSpec
from trainer.models import mnist
from trainer.models.default_signatures import classify, inputs_of, signatures_of
from trainer.models.mnist import IMAGES


class ImageServing:
    """Signatures for models of images: of the model's inputs, of pictures and of examples.

    A model whose input is no image of the readers, or that chooses no class, gets the first alone.

    Args:
        classifies: True if the model chooses a class.
    """

    def __init__(self, *, classifies: bool) -> None:
        self._classifies = classifies
        self._has_pictures = False

    def signatures(self, model: keras.Model, *, spec: ImageSpec = IMAGES) -> dict[str, Any]:
        """Return the signatures of a model, as `mnist.serving_input_fn` does."""
        made = signatures_of(model, classifies=self._classifies)
        image = inputs_of(model)
        shape = tf.TensorShape(getattr(image, "shape", None))
        self._has_pictures = (
            self._classifies
            and shape.rank == 4
            and shape[1:].is_fully_defined()
            and tf.as_dtype(image.dtype).is_floating
        )
        if self._has_pictures:
            height, width, channels = shape[1:].as_list()
            made |= mnist.picture_signatures(
                lambda images: classify(model, model(images, training=False)),
                (height, width, channels),
                spec,
            )
        return made

    def samples(self, features: Any, *, spec: ImageSpec = IMAGES) -> dict[str, Any] | None:
        """Return the same images for each signature; None if these take features by name."""
        return mnist.serving_samples(features, spec=spec) if self._has_pictures else None
