"""A `tf.data.Dataset` that knows which tables its examples come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from trainer.data.graph.dataset import TableSet
    from trainer.data.pipeline import Feed
    from trainer.data.stream import Stream


class WrappedDataset(tf.data.Dataset):
    """A data set of TensorFlow's own, for subclasses that know more of it.

    Args:
        batches: The data set whose elements this one has.
    """

    def __init__(self, batches: tf.data.Dataset) -> None:
        self._batches = batches
        super().__init__(tf.data.experimental.to_variant(batches))

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._batches]

    @property
    def element_spec(self) -> object:
        """The types and shapes of one batch."""
        return self._batches.element_spec


class ExampleDataset(WrappedDataset):
    """Batches of a data set of ours, for TensorFlow and for the training loop.

    It is a data set like any other: what is mapped or batched of it is a plain `tf.data.Dataset`.

    Args:
        batches: The data set of TensorFlow's own whose elements this one has.
        stream: Counts the examples, names the files of a batch, and keeps an error that was met
            while reading.
        feed: Hands batches to the compiled step without tf.data; None where only tf.data can.

    Attributes:
        stream: The same.
        feed: The same.
    """

    def __init__(
        self, batches: tf.data.Dataset, *, stream: Stream | TableSet, feed: Feed | None = None
    ) -> None:
        self.stream = stream
        self.feed = feed
        super().__init__(batches)
