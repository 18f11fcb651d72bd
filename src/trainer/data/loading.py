"""Images of any format as a `tf.data.Dataset`, for notebooks and scripts: `trainer.load_data`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.config import Split
from trainer.data import files
from trainer.data.example_dataset import WrappedDataset
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.pipeline import make_dataset, on_one_thread, scaler
from trainer.data.stream import Stream


class ImageDataset(WrappedDataset):
    """Batches of images and labels that know their form.

    Args:
        batches: The data set of TensorFlow's own whose elements this one has.
        stream: Where they come from.

    Attributes:
        classes: The number of classes: one more than the largest label, or as many as have names.
        class_names: The names of the classes by label; empty if the data does not tell.
        shape: Height, width and channels of the images.
        examples: The number of examples.
    """

    def __init__(self, batches: tf.data.Dataset, *, stream: Stream) -> None:
        tables = stream.tables
        self.class_names = next((each.class_names for each in tables if each.class_names), ())
        self.classes: int = max(stream.largest_label() + 1, len(self.class_names))
        self.shape, self.examples = stream.spec.shape, stream.total
        super().__init__(batches)


def load_data(
    paths: str | Path | Sequence[str | Path],
    split: Split = "train",
    *,
    batch_size: int = 32,
    shuffle: bool | None = None,
    seed: int = 0,
    cache_mb: float = 1024,
    image_size: tuple[int, int] | None = None,
    pixel_range: tuple[float, float] | None = None,
) -> ImageDataset:
    """Read labelled images of any format that `trainer train --train` takes.

        train, test = (trainer.load_data("data/mnist", split) for split in ("train", "test"))
        model = keras.Sequential([keras.Input(train.shape), ..., keras.layers.Dense(train.classes)])
        model.fit(train, validation_data=test, epochs=3)

    Args:
        paths: Files, folders or globs on this machine.
        split: The split that is wanted of a folder or file that holds several.
        batch_size: Images in a batch.
        shuffle: True for another order in each pass, in full batches: what a pass leaves over
            begins the next. False for the order of the files, the last batch smaller. By default
            training data is shuffled.
        seed: The seed of the shuffling.
        cache_mb: Data up to this size, in MiB, is read once and kept in memory.
        image_size: Height and width to resize to.
        pixel_range: The pixel values that become 0 and 1, by default inferred from type and values.

    Returns:
        A finite data set of batches: images, float32 [batch, height, width, channels] from 0 to 1,
        and labels, int32 [batch].

    Raises:
        DataError: Nothing is there, or it cannot be read.
    """
    given = [paths] if isinstance(paths, str | Path) else paths
    options = dataclasses.replace(
        DEFAULTS, split=split, image_size=image_size, pixel_range=pixel_range
    )
    stream = Stream(
        _open(list(map(str, given)), options),
        batch_size=batch_size,
        training=split == "train" if shuffle is None else shuffle,
        seed=seed,
        cache_mb=cache_mb,
    )
    return ImageDataset(_passes(stream) if stream.training else _one_pass(stream), stream=stream)


def _open(paths: list[str], options: ReadOptions) -> list[Any]:
    return files.open_tables(paths, split=options.split, flag="load_data", options=options)


def _one_pass(stream: Stream) -> tf.data.Dataset:
    batches = -(-stream.size // stream.batch_size)
    return make_dataset(stream).apply(tf.data.experimental.assert_cardinality(batches))


def _passes(stream: Stream) -> tf.data.Dataset:
    """Return a data set each pass over which goes on in the trainer's own order."""
    steps = max(1, stream.size // stream.batch_size)
    passes = iter(range(2**62))

    def generate() -> Iterator[tuple[np.ndarray, ...]]:
        left = steps
        for rows in stream.chunks(next(passes) * steps):
            yield tuple(part[:left] for part in rows)
            left -= len(rows[0])
            if left <= 0:
                return

    batch, spec = stream.batch_size, stream.spec
    signature = (
        tf.TensorSpec((None, batch, *spec.shape), spec.dtype),
        tf.TensorSpec((None, batch), tf.int32),
    )
    chunks = tf.data.Dataset.from_generator(generate, output_signature=signature)
    batches: Callable[..., tf.data.Dataset] = tf.data.Dataset.from_tensor_slices
    data = chunks.flat_map(lambda *rows: batches(rows)).map(scaler(spec))
    return on_one_thread(data).apply(tf.data.experimental.assert_cardinality(steps))
