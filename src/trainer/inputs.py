"""The data of a run, as its module's `input_fn` gives it and its strategy needs it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import tensorflow as tf

from trainer import globs, modules, preflight
from trainer.data.pipeline import Feed, dataset
from trainer.data.stream import Shard, Stream
from trainer.distribution.strategy import Strategy
from trainer.errors import UserError
from trainer.job import Job


class Source:
    """What training steps read: a feed, where the data has one, or an iterator.

    Args:
        feed: See `pipeline.Feed`.
        iterator: Over batches.

    Attributes:
        feed: The same.
        most: How many steps may be taken at a time.
    """

    def __init__(self, *, feed: Feed | None = None, iterator: Any = None) -> None:
        self.feed, self._iterator = feed, iterator
        self.most = feed.most if feed else sys.maxsize

    def take(self, count: int) -> Any:
        """What the compiled function is given for so many steps."""
        return self.feed.take(count) if self.feed else self._iterator


def test_data(job: Job, module: ModuleType, strategy: Strategy) -> Any:
    """What this process evaluates on: every example is some process's."""
    shard = Shard(strategy.rank, strategy.processes, by=job.shard_by)
    return _call(
        job,
        module,
        paths=preflight.test_paths(job),
        mode="test",
        size=job.eval_batch_size,
        shard=shard,
        seed=job.hparams.seed,
    )


def train_data(job: Job, module: ModuleType, strategy: Strategy, *, batch_size: int) -> Any:
    """What this process trains on, in batches of its own size."""

    def make(index: Any, count: int, begun: Any = 0) -> Any:
        shard = Shard(index, count, by=job.shard_by)
        return _call(
            job,
            module,
            paths=job.train,
            mode="train",
            size=batch_size,
            shard=shard,
            # Another one for each step at which reading may begin, and no other run's.
            seed=job.hparams.seed + begun * 2**32,
            in_graph=strategy.in_graph,
        )

    data = make(strategy.rank, strategy.processes)
    # A data set that others read is made by them, each its own.
    data.make = make
    return data


def length(job: Job, train: Any, *, batch_size: int) -> tuple[int, int]:
    """How many steps the run has, and how many an epoch has.

    Args:
        job: Says how long.
        train: The training data.
        batch_size: Of all processes together.

    Raises:
        UserError: The data does not tell its size, and no `--steps` are given.
    """
    stream: Stream | None = getattr(train, "stream", None)
    if stream is None:
        if job.steps is None:
            raise UserError("--steps: not given, and the module's data does not tell its size")
        return job.steps, job.steps
    epoch = stream.total / batch_size
    steps = job.steps or math.ceil(epoch * (job.epochs or 1))
    return steps, math.ceil(epoch)


def source(train: Any, strategy: Strategy, *, first: int) -> Source:
    """What the steps read, from a batch on.

    Args:
        train: From `train_data`.
        strategy: How the work is shared.
        first: The batch that comes next.
    """
    if strategy.in_graph:
        # Which batch comes next is not known there: each worker reads at its own speed. A run that
        # goes on has another order instead.
        return Source(iterator=strategy.source(train.make))
    feed: Feed | None = getattr(train, "feed", None)
    if first and feed:
        # Our own data goes on from any step without being read again.
        feed = dataset(train.stream, step=first).feed
    if feed:
        return Source(feed=feed)
    data: tf.data.Dataset = train.skip(first) if first else train
    iterator: Iterator[Any] = iter(data)
    return Source(iterator=iterator)


def _call(
    job: Job,
    module: ModuleType,
    *,
    paths: Any,
    mode: str,
    size: int,
    shard: Shard,
    seed: Any,
    in_graph: bool = False,
) -> Any:
    if job.module != Job.module:
        # A module of one's own opens files; it need not know what a glob is.
        paths = globs.expanded(paths)
    return modules.call_with_known(
        module.input_fn,
        paths,
        mode,
        size,
        shard,
        seed=seed,
        cache_mb=job.cache_mb,
        skip_corrupt=job.skip_corrupt,
        in_graph=in_graph,
    )
