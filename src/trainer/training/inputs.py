"""The data of a run, as its module's `input_fn` gives it and its strategy needs it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import google_crc32c
import tensorflow as tf

from trainer.config import Job, UserError
from trainer.data import Feed, HostShare, Shard, SharedStream, Stream, dataset, selection
from trainer.distribution import Strategy
from trainer.models import loader
from trainer.storage import globs


class Source:
    """What training steps read: a feed, where the data has one, or an iterator.

    Args:
        feed: See `pipeline.Feed`.
        iterator: Over batches.
        most: How many steps may be taken at a time; by default as many as the feed hands over.

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
        """What the compiled function is given for so many steps."""
        return self.feed.take(count) if self.feed else self._iterator


def test_data(job: Job, module: ModuleType, strategy: Strategy) -> Any:
    """What this process evaluates on: every example is some process's."""
    data = _call(
        job,
        module,
        paths=selection.test_paths(job),
        mode="test",
        size=job.eval_batch_size,
        shard=_shard(job, strategy.rank, strategy.processes),
        seed=job.hparams.seed,
    )
    if _held_by_hosts(job, strategy, data):
        counts = _counts(job, strategy, data.stream)
        names = [(Path(t.name).name, len(t)) for t in data.stream.tables]
        digest = google_crc32c.value(repr(names).encode())
        # Where all hosts hold the same, each evaluates all of it: nothing is wrong but their sum.
        if len({*_gathered(strategy, digest)}) > 1:
            data.stream.total = round(sum(counts))
    return data


def train_data(job: Job, module: ModuleType, strategy: Strategy, *, batch_size: int) -> Any:
    """What this process trains on, in batches of its own size."""

    def make(index: Any, count: int, begun: Any = 0) -> Any:
        return _call(
            job,
            module,
            paths=job.train,
            mode="train",
            size=batch_size,
            shard=_shard(job, index, count),
            # Another one for each step at which reading may begin, and no other run's.
            seed=job.hparams.seed + begun * 2**32,
            in_graph=strategy.in_graph,
        )

    data = make(strategy.rank, strategy.processes)
    if _held_by_hosts(job, strategy, data):
        share = HostShare(
            batch=batch_size * strategy.processes,
            mine=data.stream.total,
            total=round(sum(_counts(job, strategy, data.stream))),
            multiple=strategy.local,
        )
        data = dataset(SharedStream(data.stream, share, _shard(job, 0, 1)))
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
            raise UserError(
                subject="--steps",
                problem="not given, and the module's data does not tell its size",
            )
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
        most = feed.most
        if isinstance(train.stream, SharedStream):
            # Hosts whose shares differ hand over other numbers of steps, but must step together.
            most = round(min(_gathered(strategy, most)))
        return Source(feed=feed, most=most)
    data: tf.data.Dataset = train.skip(first) if first else train
    iterator: Iterator[Any] = iter(data)
    return Source(iterator=iterator)


def _shard(job: Job, index: Any, count: int) -> Shard:
    """Return the part of the data at its paths that one of `count` processes reads."""
    if job.shard_by == "host":
        # All of a host's data is for its own processes.
        return Shard(job.cluster.local_rank, job.cluster.local_size, by="record")
    return Shard(index, count, by=job.shard_by)


def _held_by_hosts(job: Job, strategy: Strategy, data: Any) -> bool:
    """Return whether hosts hold different data, whose size is known."""
    several = job.cluster.local_size < strategy.processes and not strategy.in_graph
    return job.shard_by == "host" and several and getattr(data, "stream", None) is not None


def _counts(job: Job, strategy: Strategy, stream: Stream) -> list[float]:
    """Return how many examples each host holds; 0 for all but the first process of a host."""
    return _gathered(strategy, 0 if job.cluster.local_rank else stream.total)


def _gathered(strategy: Strategy, number: float) -> list[float]:
    """Return a number of each process, by rank."""
    mine = [0.0] * strategy.processes
    mine[strategy.rank] = float(number)
    return strategy.sum(mine).tolist()


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
    return loader.call_with_known(
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
