"""The source of the batches of training steps: a feed, or an iterator."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from trainer.data import Feed, SharedStream, Stream, make_dataset
from trainer.distribution import Strategy
from trainer.training.host_data import gathered
from trainer.training.run_data import SplitData


class BatchSource:
    """Gives training steps their batches: from a feed, where the data has one, or an iterator.

    Args:
        feed: See `pipeline.Feed`.
        iterator: Over batches.
        most: Largest number of steps at a time; by default as many as the feed hands over.

    Attributes:
        feed: The same.
        most: The same.
    """

    def __init__(
        self, *, feed: Feed | None = None, iterator: Any = None, most: int | None = None
    ) -> None:
        self.feed, self._iterator = feed, iterator
        self.most = most or (feed.most if feed else sys.maxsize)

    def take(self, count: int) -> Any:
        """Return the first argument of the compiled function for so many steps."""
        return self.feed.take(count) if self.feed else self._iterator


def batch_source(train: SplitData, strategy: Strategy, *, first: int) -> BatchSource:
    """Return the source of the batches from some batch on.

    Args:
        train: From `train_data`.
        strategy: The way the processes share the work.
        first: The batch that comes next.
    """
    if strategy.in_graph:
        # Each worker reads at its own speed, so nobody knows which batch comes next. A run that
        # goes on has another order instead.
        assert train.factory is not None
        return BatchSource(iterator=strategy.source(train.factory))
    feed = train.feed
    if feed and isinstance(train.stream, Stream):
        if first:
            # Our own data goes on from any step without being read again.
            feed = make_dataset(train.stream, step=first).feed
            assert feed is not None
        most = feed.most
        if isinstance(train.stream, SharedStream):
            # Hosts whose shares differ hand over other numbers of steps, but must step together.
            most = round(min(gathered(strategy, most)))
        return BatchSource(feed=feed, most=most)
    data: tf.data.Dataset = train.dataset.skip(first) if first else train.dataset
    iterator: Iterator[Any] = iter(data)
    return BatchSource(iterator=iterator)
