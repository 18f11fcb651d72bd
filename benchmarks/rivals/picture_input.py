"""Pictures by tf.data, tuned as its performance guide says, and by Keras' own loader of folders."""

from __future__ import annotations

import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow as tf

FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/class/label": tf.io.FixedLenFeature([], tf.int64),
}


def tuned_records(
    path: Path, *, size: tuple[int, int], batch: int, antialias: bool = False
) -> tf.data.Dataset:
    """Return batches of encoded pictures: all calls in parallel, out of order, fetched ahead."""

    def parse(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = tf.io.parse_single_example(record, FEATURES)
        image = tf.io.decode_jpeg(example["image/encoded"], channels=3)
        return tf.image.resize(image, size, antialias=antialias) / 255.0, example[
            "image/class/label"
        ]

    options = tf.data.Options()
    options.deterministic = False
    options.threading.private_threadpool_size = 1
    return (
        tf.data.TFRecordDataset(str(path))
        .shuffle(1000)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
        .with_options(options)
    )


def keras_folder(path: Path, *, size: tuple[int, int], grey: bool, batch: int) -> tf.data.Dataset:
    """Return batches of the pictures in a folder a class."""
    data = keras.utils.image_dataset_from_directory(
        str(path),
        image_size=size,
        batch_size=batch,
        color_mode="grayscale" if grey else "rgb",
        verbose=False,
    )
    scaled = data.map(lambda images, labels: (images / 255.0, labels))
    return scaled.prefetch(tf.data.AUTOTUNE)
