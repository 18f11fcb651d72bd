"""A `tf.data.Dataset` over a stream of batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.config import RetryableError
from trainer.data.example_dataset import ExampleDataset
from trainer.data.formats.table import ImageSpec
from trainer.data.stream import Stream

# Numbers of examples handed over at a time: 8 MB.
MOST_NUMBERS = 1 << 20
# Seconds for a chunk of examples, 64 MB at most, to be read: a disk that takes longer is gone.
READ_SECONDS = 300.0


def make_dataset(stream: Stream, *, step: int = 0) -> ExampleDataset:
    """Make the batches of a stream a data set of TensorFlow's.

    Whole chunks of batches cross from Python to TensorFlow, one crossing for thousands of
    examples. Data in memory crosses as numbers only, and is gathered and scaled in the graph.

    Args:
        stream: The batches.
        step: The batch to begin with.

    Returns:
        Elements of images, float32 [batch, *spec.shape] from 0 to 1, and labels, int32 [batch], and
        weights, float32 [batch], if some rows of the stream's batches weigh nothing. It has a feed
        if the stream is for training.
    """
    # Training batches are all full: a known size lets the graph be optimised further.
    batch = stream.batch_size if stream.training else None
    finish: Callable[..., tuple[tf.Tensor, ...]]
    scale = scaler(stream.spec)
    if stream.memory is not None:
        # Gathered on the host: a GPU gets batches, not the data set.
        with tf.device("CPU"):
            images, labels = map(tf.constant, stream.memory)
        # TensorFlow has made a copy: the stream drops its own and reads that one.
        stream.memory = np.asarray(images), np.asarray(labels)
        chunks = _generated(stream, "indices", step, tf.TensorSpec((None, batch), tf.int64))
        parts = chunks.flat_map(tf.data.Dataset.from_tensor_slices)

        def gather(ids: tf.Tensor) -> tuple[tf.Tensor, ...]:
            with tf.device("CPU"):
                return scale(tf.gather(images, ids), tf.gather(labels, ids))

        def gather_used(ids: tf.Tensor) -> tuple[tf.Tensor, ...]:
            with tf.device("CPU"):
                return (*gather(tf.maximum(ids, 0)), tf.cast(ids >= 0, tf.float32))

        finish = gather_used if stream.weighted else gather
    else:
        chunks = _generated(stream, "chunks", step, _spec(stream, batch))
        parts = chunks.flat_map(lambda *rows: tf.data.Dataset.from_tensor_slices(rows))
        finish = scale

    data = on_one_thread(parts.map(finish))
    feed = Feed(stream, step=step, batch=finish) if stream.training else None
    return ExampleDataset(data, stream=stream, feed=feed)


class Feed:
    """Training batches straight from Python to the compiled step.

    A step of a small model takes 1.5 ms; fetching its batch from tf.data takes a tenth of that. The
    loop knows beforehand how many steps a call will take, so it can hand over what they need as
    arguments: the numbers of the examples, or the examples as bytes where they are streamed.

    Args:
        stream: The batches.
        step: The batch to begin with.
        batch: Makes a batch, in the graph, of the arguments for one step.
        read_seconds: Seconds for a chunk of examples to be read.

    Attributes:
        batch: The same.
        spec: The types of the arguments, with a row a step.
        most: The most steps that may be taken at a time.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        step: int,
        batch: Callable[..., tuple[tf.Tensor, ...]],
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self.batch = batch
        self._read_seconds, self._chunk_examples = read_seconds, stream.chunk_examples
        size = stream.batch_size
        self._ahead: Future[tuple[np.ndarray, ...]] | None = None
        if stream.memory is not None:
            self.spec: tuple[tf.TensorSpec, ...] = (tf.TensorSpec((None, size), tf.int64),)
            self.most = max(1, MOST_NUMBERS // size)
            self._chunks: Iterator[tuple[np.ndarray, ...]] = ((i,) for i in stream.indices(step))
        else:
            self.spec = _spec(stream, size)
            self.most = max(1, stream.chunk_examples // size)
            self._chunks = iter(stream.chunks(step))
            # Files are read while the model computes.
            self._ahead = _begun(self._chunks.__next__)
        self._rest: tuple[np.ndarray, ...] = ()

    def take(self, count: int) -> tuple[np.ndarray, ...]:
        """Return the arguments of the next `count` steps: arrays with a row a step.

        Raises:
            DataError: Reading failed.
            RetryableError: Reading took too long.
        """
        parts = []
        while count:
            if not self._rest or not len(self._rest[0]):
                self._rest = self._next()
            parts.append(tuple(array[:count] for array in self._rest))
            self._rest = tuple(array[count:] for array in self._rest)
            count -= len(parts[-1][0])
        return parts[0] if len(parts) == 1 else tuple(map(np.concatenate, zip(*parts, strict=True)))

    def _next(self) -> tuple[np.ndarray, ...]:
        if self._ahead is None:
            return next(self._chunks)
        try:
            ready = self._ahead.result(timeout=self._read_seconds)
        except TimeoutError:
            raise RetryableError(
                f"--train: reading {self._chunk_examples} examples took more than "
                f"{self._read_seconds:.0f} s; is the disk or the network behind it still there?"
            ) from None
        self._ahead = _begun(self._chunks.__next__)
        return ready


def _begun(read: Callable[[], tuple[np.ndarray, ...]]) -> Future[tuple[np.ndarray, ...]]:
    """Call a function in a thread of its own, for which the process does not wait at its end."""
    future: Future[tuple[np.ndarray, ...]] = Future()

    def run() -> None:
        try:
            future.set_result(read())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="feed", daemon=True).start()
    return future


def _generated(stream: Stream, method: str, step: int, spec: Any) -> tf.data.Dataset:
    """Make a data set of the values that one of the stream's generators yields."""

    def generate() -> Iterator[Any]:
        try:
            yield from getattr(stream, method)(step)
        except Exception as error:
            # TensorFlow turns the error into text: keep it, so that the loop can raise it.
            stream.error = error
            raise

    return tf.data.Dataset.from_generator(generate, output_signature=spec)


def _spec(stream: Stream, batch: int | None) -> tuple[tf.TensorSpec, ...]:
    """Return the types of several streamed batches at a time."""
    weights = (tf.TensorSpec((None, batch), tf.float32),) if stream.weighted else ()
    return (
        tf.TensorSpec((None, batch, *stream.spec.shape), stream.spec.dtype),
        tf.TensorSpec((None, batch), tf.int32),
        *weights,
    )


def on_one_thread(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Prepare two batches ahead, in one thread."""
    options = tf.data.Options()
    # There is nothing to tune: one thread outruns any model here, and more cost CPU-seconds.
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    return batches.prefetch(2).with_options(options)


def scaler(spec: ImageSpec) -> Callable[..., tuple[tf.Tensor, ...]]:
    """Return a function of images, labels and perhaps weights that scales the pixels.

    Args:
        spec: The form of the images; the function returns them as float32, where `spec.low` is 0
            and `spec.high` is 1, labels as int32, and weights as they are.
    """

    def scale(images: tf.Tensor, labels: tf.Tensor, *weights: tf.Tensor) -> tuple[tf.Tensor, ...]:
        pixels = tf.cast(images, tf.float32)
        if spec.low:
            pixels = pixels - spec.low
        if spec.high - spec.low != 1:
            pixels = pixels * (1 / (spec.high - spec.low))
        return pixels, tf.cast(labels, tf.int32), *weights

    return scale
