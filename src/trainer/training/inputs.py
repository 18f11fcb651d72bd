"""The data of a run, as its module's `input_fn` gives it and its strategy needs it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import tensorflow as tf

from trainer.config import Job, Split, UserError
from trainer.data import (
    HoldOut,
    HostShare,
    Shard,
    SharedStream,
    Stream,
    make_dataset,
    read_options,
    selection,
)
from trainer.distribution import Strategy
from trainer.models import ModelModule, loader
from trainer.storage import globs
from trainer.training.host_data import (
    check_same_splits,
    counts_of_hosts,
    gathered,
    shard_of,
    stream_of_host,
)
from trainer.training.image_facts import check_same_on_hosts, check_same_shape, count_classes
from trainer.training.module_data import checked_dataset
from trainer.training.run_data import RunData, SplitData


def read_data(job: Job, module: ModelModule, strategy: Strategy, *, batch_size: int) -> RunData:
    """Open the data of a run.

    Args:
        job: Names the data, and how long to train on it.
        module: Its `input_fn` reads them.
        strategy: The way the processes share the work.
        batch_size: Of all processes together.

    Raises:
        DataError: A file is missing or damaged.
        UserError: The data does not tell its size, and no `--steps` are given; or something is
            asked for that needs data to evaluate on, and there is none.
    """
    own_reader = module.reads_data
    named = [selection.paths_of(job, each, own_reader=own_reader) for each in selection.EVALUATED]
    check_same_splits(strategy, [paths is not None for paths in named])
    # A mistake that is known without reading anything comes first.
    selection.check_evaluated(job, evaluated=any(paths is not None for paths in named))
    train = train_data(job, module, strategy, batch_size=batch_size // strategy.processes)
    names = train.class_names
    validation, test = (
        evaluation_data(job, module, strategy, split=split, class_names=names)
        for split in ("validation", "test")
    )
    if own_reader:
        check_same_splits(strategy, [test is not None, validation is not None])
    selection.check_evaluated(job, evaluated=bool(validation or test))
    check_same_shape(train, validation)
    check_same_shape(train, test)
    steps, epoch_steps = count_steps(job, train, batch_size=batch_size)
    return RunData(
        train=train,
        validation=validation,
        test=test,
        batch_size=batch_size,
        steps=steps,
        epoch_steps=epoch_steps,
        classes=count_classes(strategy, train, validation, test),
        class_names=train.class_names,
    )


def evaluation_data(
    job: Job,
    module: ModelModule,
    strategy: Strategy,
    *,
    split: Split,
    class_names: Sequence[str] = (),
) -> SplitData | None:
    """Open the part of the validation or the test data that this process evaluates on.

    Every example is in the part of some process.

    Args:
        job: Names the data.
        module: Its `input_fn` reads them.
        strategy: The way the processes share the work.
        split: Which of the two.
        class_names: Those of the training data, by label.

    Returns:
        None if there is no such data.
    """
    paths = selection.paths_of(job, split, own_reader=module.reads_data)
    if paths is None:
        return None
    data: tf.data.Dataset | None = _call_input_fn(
        job,
        module,
        paths=paths,
        # A module of one's own knows of two modes.
        mode="test" if module.reads_data else split,
        size=job.eval_batch_size,
        shard=shard_of(job, strategy.rank, strategy.processes),
        seed=job.hparams.seed,
        class_names=class_names,
    )
    if data is None:
        return None
    stream = stream_of_host(job, strategy, data)
    if stream is None:
        return SplitData.of(data)
    counts = counts_of_hosts(job, strategy, stream)
    names = [(Path(table.name).name, len(table)) for table in stream.tables]
    digest = google_crc32c.value(repr(names).encode())
    # Where all hosts hold the same, each evaluates all of it: nothing is wrong but their sum.
    differ = len({*gathered(strategy, digest)}) > 1
    return SplitData.of(data, examples=round(sum(counts)) if differ else None)


def train_data(job: Job, module: ModelModule, strategy: Strategy, *, batch_size: int) -> SplitData:
    """Open the training data of this process.

    Args:
        job: Names the data.
        module: Its `input_fn` reads them.
        strategy: The way the processes share the work.
        batch_size: Of one process.
    """

    def make(index: Any, count: int, begun: Any = 0) -> tf.data.Dataset:
        return _call_input_fn(
            job,
            module,
            paths=job.train,
            mode="train",
            size=batch_size,
            shard=shard_of(job, index, count),
            # Another one for each step at which reading may begin, and no other run's.
            seed=job.hparams.seed + begun * 2**32,
            in_graph=strategy.in_graph,
        )

    data = make(strategy.rank, strategy.processes)
    stream = stream_of_host(job, strategy, data)
    if isinstance(stream, Stream):
        share = HostShare(
            batch=batch_size * strategy.processes,
            own=stream.total,
            total=round(sum(counts_of_hosts(job, strategy, stream))),
            multiple=strategy.local,
        )
        check_same_on_hosts(strategy, stream)
        data = make_dataset(SharedStream(stream, share, shard_of(job, 0, 1)))
    # Parameter-server workers build their own dataset, so keep the factory.
    return SplitData.of(data, factory=make)


def count_steps(job: Job, train: SplitData, *, batch_size: int) -> tuple[int, int]:
    """Return how many steps the run has, and how many an epoch has.

    Args:
        job: Says how long.
        train: The training data.
        batch_size: Of all processes together.

    Raises:
        UserError: The data does not tell its size, and no `--steps` are given.
    """
    if train.examples is None:
        if job.steps is None:
            raise UserError(
                subject="--steps",
                problem="not given, and the module's data does not tell its size",
            )
        return job.steps, job.steps
    epoch = train.examples / batch_size
    steps = job.steps or math.ceil(epoch * (job.epochs or 1))
    return steps, math.ceil(epoch)


def _hold_out(job: Job) -> HoldOut | None:
    if job.validation_split is None:
        return None
    return HoldOut(share=job.validation_split, seed=job.hparams.seed)


def _call_input_fn(
    job: Job,
    module: ModelModule,
    *,
    paths: Any,
    mode: str,
    size: int,
    shard: Shard,
    seed: Any,
    class_names: Sequence[str] = (),
    in_graph: bool = False,
) -> Any:
    if module.reads_data:
        # A module of one's own opens files; it need not know what a glob is.
        paths = globs.expanded(paths)
    made = loader.call_with_known(
        module.input_fn,
        paths,
        mode,
        size,
        shard,
        seed=seed,
        cache_mb=job.cache_mb,
        skip_corrupt=job.skip_corrupt,
        options=read_options(job, class_names=class_names),
        hold_out=_hold_out(job),
        in_graph=in_graph,
    )
    if not module.reads_data:
        return made
    return checked_dataset(made, module=module, mode=mode, batch_size=size, shard=shard, seed=seed)
