"""A `tf.data.Dataset` over a stream of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.stream import Stream
from trainer.data.table import IMAGE_SHAPE


def dataset(stream: Stream, *, step: int = 0) -> tf.data.Dataset:
    """Batches of a stream as TensorFlow takes them.

    Whole chunks of batches cross from Python to TensorFlow, one crossing for thousands of
    examples. Data in memory crosses as numbers only, and is gathered and scaled in the graph.

    A training loop may leave that last part to its own compiled step: what is handed from
    tf.data's thread to the step's is then a few numbers, or bytes in place of floats. This and the
    rest is measured in docs/performance.md.

    Args:
        stream: The batches.
        step: The batch to begin with.

    Returns:
        Elements of images, float32 [batch, 28, 28, 1] from 0 to 1, and labels, int32 [batch]. It
        has two attributes more than other data sets:
        `stream`, where the training loop finds the number of examples, an error met while
        reading, and the files that a batch came from;
        `in_step`, a data set and a function that turns its elements into those of this one.
    """
    # Training batches are all full: a known size lets the graph be optimised further.
    batch = stream.batch_size if stream.training else None
    finish: Callable[..., tuple[tf.Tensor, tf.Tensor]]
    if stream.memory is not None:
        # Gathered on the host: a GPU gets batches, not the data set.
        with tf.device("CPU"):
            images, labels = map(tf.constant, stream.memory)
        # The copy is TensorFlow's: the stream lets go of its own and looks at that one.
        stream.memory = np.asarray(images), np.asarray(labels)
        chunks = _generated(stream, "indices", step, tf.TensorSpec((None, batch), tf.int64))
        parts = chunks.flat_map(tf.data.Dataset.from_tensor_slices)

        def finish(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.device("CPU"):
                return _scale(tf.gather(images, ids), tf.gather(labels, ids))

    else:
        spec = (
            tf.TensorSpec((None, batch, *IMAGE_SHAPE), tf.uint8),
            tf.TensorSpec((None, batch), tf.uint8),
        )
        chunks = _generated(stream, "chunks", step, spec)
        parts = chunks.flat_map(lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)))
        finish = _scale

    options = tf.data.Options()
    # There is nothing to tune: one thread outruns any model here, and more cost CPU-seconds.
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    data = parts.map(finish).prefetch(2).with_options(options)
    data.stream = stream
    # Numbers are made faster than they are fetched: only what is read from files is read ahead.
    ahead = parts if stream.memory is not None else parts.prefetch(2)
    data.in_step = ahead.with_options(options), finish
    return data


def _generated(stream: Stream, method: str, step: int, spec: Any) -> tf.data.Dataset:
    """A data set of what one of the stream's generators yields."""

    def generate() -> Iterator[Any]:
        try:
            yield from getattr(stream, method)(step)
        except Exception as error:
            # TensorFlow turns the error into text: keep it for the loop to raise.
            stream.error = error
            raise

    return tf.data.Dataset.from_generator(generate, output_signature=spec)


def _scale(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.cast(images, tf.float32) * (1 / 255), tf.cast(labels, tf.int32)
