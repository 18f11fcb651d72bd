"""MNIST: the three functions that any model module has, for the built-in models.

    keras_model(hparams)                           what is trained
    input_fn(paths, mode, batch_size, shard)       what it is trained on
    serving_input_fn(model)                        how it is asked, once served

A module of your own with these three runs by `--module my_package.my_model`. A fourth helps to
check the exported model: `serving_samples(features)` gives the same features to each of its
signatures. An optional `RECIPE` holds its hyperparameters, see `recipes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.config import Hparams, Split
from trainer.data import (
    IMAGE_SHAPE,
    ExampleDataset,
    HoldOut,
    ImageSpec,
    ReadOptions,
    Shard,
    Stream,
    encode_examples,
    graph_dataset,
    make_dataset,
    open_tables,
    scaler,
)
from trainer.models.default_signatures import inputs_of
from trainer.models.registry import MODELS

# How images are stored in examples that a signature takes, where no data says it.
IMAGES = ImageSpec()
# Grey, RGB, and RGB with transparency: the pictures that TensorFlow decodes.
PICTURE_CHANNELS = (1, 3, 4)


def keras_model(hparams: Hparams) -> keras.Model:
    """Build the model that `hparams.model` names.

    Args:
        hparams: Complete; `model`, `dropout`, `input_shape` and `classes` are used.

    Returns:
        A functional model without a loss: `image_input`, float32 [batch, 28, 28, 1] of values from
        0 to 1, to logits, float32 [batch, 10]; for other data of its form.
    """
    model: keras.Model = MODELS[hparams.model].keras_model(hparams)
    return model


def input_fn(
    paths: Sequence[str],
    mode: Split,
    batch_size: int,
    shard: Shard,
    *,
    seed: Any = 0,
    cache_mb: float = 1024,
    skip_corrupt: int = 0,
    options: ReadOptions | None = None,
    hold_out: HoldOut | None = None,
    in_graph: bool = False,
) -> ExampleDataset:
    """Read labelled images.

    Args:
        paths: Files, folders or globs of any format that is read; none: the synthetic digits.
        mode: `train`: shuffled and endless. Else one pass in order, the last batch smaller.
        batch_size: Examples in a batch of this shard.
        shard: Which part of the data this process sees.
        seed: Of the shuffling.
        cache_mb: Data up to this size, in MiB, is kept in memory.
        skip_corrupt: How many damaged records may be left out.
        options: How to read them otherwise.
        hold_out: The part of the training data that `validation` reads and `train` does not.
        in_graph: Read by TensorFlow alone, so that a server without Python can; `shard.index` and
            `seed` may then be tensors.

    Returns:
        Images float32 [batch, height, width, channels] from 0 to 1, and labels int32 [batch].

    Raises:
        DataError: See `open_tables`.
    """
    options = options or ReadOptions()
    split: Split = "train" if hold_out and mode == "validation" else mode
    tables = open_tables(paths, split=split, skip_corrupt=skip_corrupt, options=options)
    tables = hold_out.of(tables, split=mode) if hold_out else tables
    if in_graph:
        return graph_dataset(
            tables,
            batch_size=batch_size,
            training=mode == "train",
            shard_index=shard.index,
            shard_count=shard.count,
            shard_by=shard.by,
            seed=seed,
            cache_mb=cache_mb,
            classes=options.classes,
        )
    stream = Stream(
        tables,
        batch_size=batch_size,
        training=mode == "train",
        shard=shard,
        seed=seed,
        cache_mb=cache_mb,
        classes=options.classes,
    )
    return make_dataset(stream)


def serving_input_fn(
    model: keras.Model, *, spec: ImageSpec = IMAGES
) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """Return the signatures of the SavedModel.

    Args:
        model: From `keras_model`, or another one from images to logits.
        spec: The type and the range of the pixels in the training data.

    Returns:
        `serving_default`: `image_input`, float32 [n, height, width, channels] from 0 to 1.
        `serving_bytes`: `image_bytes`, string [n], each a PNG or JPEG of any size; only where such
        pictures have as many channels.
        `serving_examples`: `examples`, string [n], each a serialized tf.train.Example as in the
        TFRecords. Each gives `probabilities`, float32 [n, classes], and `classes`, int64 [n].
    """
    # A sequential model that was never called tells no inputs.
    image = inputs_of(model)
    shape: tuple[int, int, int] = IMAGE_SHAPE if image is None else tuple(image.shape[1:])

    def answer(images: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.nn.softmax(tf.cast(model(images, training=False), tf.float32))
        return {"probabilities": probabilities, "classes": tf.argmax(probabilities, axis=-1)}

    @tf.function(
        autograph=False, input_signature=[tf.TensorSpec((None, *shape), name="image_input")]
    )
    def serving_default(image_input: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(image_input)

    return {"serving_default": serving_default, **picture_signatures(answer, shape, spec)}


def picture_signatures(
    answer: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    shape: tuple[int, int, int],
    spec: ImageSpec = IMAGES,
) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """Return the signatures that take pictures and examples, see `serving_input_fn`.

    Args:
        answer: Computes the outputs of images, float32 [n, *shape] from 0 to 1.
        shape: Height, width and channels.
        spec: The type and the range of the pixels in examples.
    """
    scale = scaler(spec)

    def from_picture(picture: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(picture, channels=shape[2], expand_animations=False)
        image.set_shape((None, None, shape[2]))
        return tf.image.resize(image, shape[:2], antialias=True) / 255

    def from_example(example: tf.Tensor) -> tf.Tensor:
        features = {"image_raw": tf.io.FixedLenFeature((), tf.string)}
        raw = tf.io.parse_example(example, features)["image_raw"]
        pixels = tf.io.decode_raw(raw, spec.dtype)
        images, _ = scale(tf.reshape(pixels, (-1, *shape)), 0)
        return images

    @tf.function(
        autograph=False, input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")]
    )
    def serving_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        image = tf.TensorSpec(shape)
        return answer(tf.map_fn(from_picture, image_bytes, fn_output_signature=image))

    @tf.function(
        autograph=False, input_signature=[tf.TensorSpec((None,), tf.string, name="examples")]
    )
    def serving_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(from_example(examples))

    pictures = {"serving_bytes": serving_bytes} if shape[2] in PICTURE_CHANNELS else {}
    return {**pictures, "serving_examples": serving_examples}


def serving_samples(features: tf.Tensor, *, spec: ImageSpec = IMAGES) -> dict[str, tf.Tensor]:
    """Return the same images as each signature takes them, to compare their results.

    Args:
        features: Images as `serving_default` takes them; they are rounded to 8 bits.
        spec: See `serving_input_fn`.

    Returns:
        The argument of each signature; all of them should give the same results.
    """
    pixels = tf.saturate_cast(tf.round(features * 255), tf.uint8)
    if spec.dtype != "float32" and (spec.high - spec.low) % 255:
        # Black and white alone are the same in 8 bits and in such a range.
        pixels = tf.where(pixels > 127, tf.constant(255, tf.uint8), tf.constant(0, tf.uint8))
    stored = pixels.numpy() / 255 * (spec.high - spec.low) + spec.low
    kind = np.dtype(spec.dtype)
    stored = stored.astype(kind) if kind.kind == "f" else np.rint(stored).astype(kind)
    messages = encode_examples(stored, np.zeros(len(pixels), np.int64))
    has_pictures = pixels.shape[-1] in PICTURE_CHANNELS
    pictures = {"serving_bytes": tf.io.encode_png(pixels)} if has_pictures else {}
    return {
        "serving_default": tf.cast(pixels, tf.float32) / 255,
        **pictures,
        "serving_examples": tf.constant([message.tobytes() for message in messages]),
    }
