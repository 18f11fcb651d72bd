"""A `tf.data.Dataset` over a stream of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from trainer.data.stream import Stream
from trainer.data.table import IMAGE_SHAPE


def dataset(stream: Stream, *, step: int = 0) -> tf.data.Dataset:
    """Batches of a stream as TensorFlow takes them.

    Whole chunks of batches cross from Python to TensorFlow, one crossing for thousands of
    examples. Data in memory crosses as numbers only, and is gathered and scaled in the graph:
    measured in docs/performance.md.

    Args:
        stream: The batches.
        step: The batch to begin with.

    Returns:
        Elements of images, float32 [batch, 28, 28, 1] from 0 to 1, and labels, int32 [batch]. The
        stream is its attribute `stream`: there the training loop finds the number of examples,
        an error met while reading, and the files that a batch came from.
    """
    # Training batches are all full: a known size lets the graph be optimised further.
    batch = stream.batch_size if stream.training else None

    def guarded(name: str) -> Callable[[], Iterator[Any]]:
        # TensorFlow would turn the error into text: keep it for the loop to raise.
        def generate() -> Iterator[Any]:
            try:
                yield from getattr(stream, name)(step)
            except Exception as error:
                stream.error = error
                raise

        return generate

    if stream.memory is not None:
        images, labels = map(tf.constant, stream.memory)
        ids = tf.TensorSpec((None, batch), tf.int64)
        data = tf.data.Dataset.from_generator(guarded("indices"), output_signature=ids)
        data = data.flat_map(tf.data.Dataset.from_tensor_slices)
        data = data.map(lambda i: _scale(tf.gather(images, i), tf.gather(labels, i)))
    else:
        chunk = (
            tf.TensorSpec((None, batch, *IMAGE_SHAPE), tf.uint8),
            tf.TensorSpec((None, batch), tf.uint8),
        )
        data = tf.data.Dataset.from_generator(guarded("chunks"), output_signature=chunk)
        data = data.flat_map(lambda x, y: tf.data.Dataset.from_tensor_slices((x, y))).map(_scale)

    options = tf.data.Options()
    # There is nothing to tune: one thread outruns any model here, and more cost CPU-seconds.
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    data = data.prefetch(2).with_options(options)
    data.stream = stream
    return data


def _scale(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.cast(images, tf.float32) * (1 / 255), tf.cast(labels, tf.int32)
