"""Data of which each process reads a part, and each host perhaps other files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from trainer.config import Job, UserError
from trainer.data import ExampleDataset, Shard, Stream, TableSet, selection
from trainer.distribution import Strategy
from trainer.training import consensus


def check_same_splits(strategy: Strategy, found: Sequence[bool]) -> None:
    """Raise a UserError if some processes have data to evaluate on and others have not.

    Each process calls it: one that evaluated alone would wait for the others.

    Args:
        strategy: The way the processes share the work.
        found: Whether this process has data for each split of `selection.EVALUATED`.
    """
    counts = consensus.gather(strategy, [float(each) for each in found]).sum(axis=0)
    for split, own, count in zip(selection.EVALUATED, found, counts.tolist(), strict=True):
        if 0 < count < strategy.processes:
            raise UserError(
                subject=f"--{split}",
                problem=f"only {count:.0f} of {strategy.processes} processes have {split} data, "
                f"this one has {'some' if own else 'none'}",
                remedy="give each host some, or all of it to each: on SageMaker a channel that is "
                "FullyReplicated",
            )


def shard_of(job: Job, index: Any, count: int) -> Shard:
    """Return the part of the data at its paths that one of `count` processes reads."""
    if job.shard_by == "host":
        # All of a host's data is for its own processes.
        return Shard(job.cluster.local_rank, job.cluster.local_size, by="record")
    return Shard(index, count, by=job.shard_by)


def stream_of_host(job: Job, strategy: Strategy, data: tf.data.Dataset) -> Stream | TableSet | None:
    """Return this host's tables if hosts hold different data whose size is known, else None."""
    several = job.cluster.local_size < strategy.processes and not strategy.in_graph
    if job.shard_by != "host" or not several or not isinstance(data, ExampleDataset):
        return None
    return data.stream


def counts_of_hosts(job: Job, strategy: Strategy, stream: Stream | TableSet) -> list[float]:
    """Return how many examples each host holds; 0 for all but the first process of a host."""
    return gathered(strategy, 0 if job.cluster.local_rank else stream.total)


def gathered(strategy: Strategy, number: float) -> list[float]:
    """Return a number of each process, by rank."""
    counts = [0.0] * strategy.processes
    counts[strategy.rank] = float(number)
    return strategy.sum(counts).tolist()
