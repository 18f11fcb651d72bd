import dataclasses
import types
from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf

from trainer.config.errors import DataError, UserError
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.distribution.strategy import SINGLE_PROCESS, Strategy
from trainer.models import ModelModule, loader
from trainer.training import host_data, inputs, run_data
from trainer.training.batch_source import batch_source

pytestmark = pytest.mark.tensorflow

OURS = loader.load("trainer.model")
JOB = Job(hparams=Hparams(batch_size=8), steps=5)


class Second(Strategy):
    """The second of two processes."""

    rank, processes, is_chief = 1, 2, False


def test_two_processes_take_the_halves_of_the_batches_of_one():
    whole = batch_source(
        inputs.train_data(JOB, OURS, SINGLE_PROCESS, batch_size=8), SINGLE_PROCESS, first=0
    ).take(3)[0]
    halves = []
    for strategy in (SINGLE_PROCESS, Second()):
        two = Second()
        two.rank = strategy.rank
        data = inputs.train_data(JOB, OURS, two, batch_size=4)
        halves.append(batch_source(data, two, first=0).take(3)[0])
    np.testing.assert_array_equal(np.concatenate(halves, axis=1), whole)


def test_our_data_goes_on_from_a_batch():
    data = inputs.train_data(JOB, OURS, SINGLE_PROCESS, batch_size=8)
    whole = batch_source(data, SINGLE_PROCESS, first=0).take(5)[0]
    rest = batch_source(data, SINGLE_PROCESS, first=3).take(2)[0]
    np.testing.assert_array_equal(rest, whole[3:])


def test_a_modules_own_data_goes_on_too():
    def input_fn(paths, mode, batch_size, shard):
        return tf.data.Dataset.range(100).map(lambda number: (number, number)).batch(batch_size)

    unused = types.SimpleNamespace
    module = ModelModule(
        name="mine", is_builtin=False, keras_model=unused, input_fn=input_fn,
        serving_input_fn=unused, reads_data=True,
    )  # fmt: skip
    data = inputs.train_data(JOB, module, SINGLE_PROCESS, batch_size=8)
    source = batch_source(data, SINGLE_PROCESS, first=2)
    assert source.feed is None
    assert next(source.take(1))[0].numpy()[0] == 16


class BesideAnotherHost(Strategy):
    """The first of two processes, and what the other one says whenever both say a number.

    None is the same as this one.
    """

    processes = 2

    def __init__(self, *others: float | None) -> None:
        self._others = iter(others)

    def sum(self, numbers: Sequence[float]) -> np.ndarray:
        other = next(self._others)
        half = len(numbers) // 2
        others = numbers[:half] if other is None else [other] * half
        return np.array([*numbers[:half], *others], np.float64)


@pytest.mark.parametrize("cache_mb", [0, 1024])
def test_hosts_with_unequal_shares_take_as_many_steps_at_a_time_as_each_can(cache_mb):
    job = dataclasses.replace(JOB, shard_by="host", cache_mb=cache_mb)
    # It holds 10 examples, and hands over 3 steps at a time.
    strategy = BesideAnotherHost(10, None, 3)
    source = batch_source(inputs.train_data(job, OURS, strategy, batch_size=4), strategy, first=0)
    assert source.most == 3


def test_hosts_that_hold_other_classes_or_images_each_are_refused():
    job = dataclasses.replace(JOB, shard_by="host")
    with pytest.raises(DataError, match="hosts hold other classes each, this one none with names"):
        inputs.train_data(job, OURS, BesideAnotherHost(10, 1, 1), batch_size=4)
    with pytest.raises(DataError, match="other images each, this one 28×28×1 uint8 from 0 to 255"):
        inputs.train_data(job, OURS, BesideAnotherHost(10, 1, None), batch_size=4)


@pytest.mark.parametrize(("other", "problem"), [(1, "none"), (None, None)])
def test_a_process_that_alone_has_no_data_to_evaluate_on_is_named(other, problem):
    strategy = BesideAnotherHost(other)
    if problem is None:
        host_data.check_same_splits(strategy, [False, True])
        return
    with pytest.raises(UserError, match=r"--test: only 1 of 2 processes have test data, .* none"):
        host_data.check_same_splits(strategy, [False, True])


def test_an_epoch_is_all_of_the_data_whatever_a_process_reads():
    data = inputs.train_data(JOB, OURS, Second(), batch_size=4)
    examples = data.examples
    assert inputs.count_steps(JOB, data, batch_size=8) == (5, -(-examples // 8))


def test_data_that_tells_no_size_needs_steps():
    data = run_data.SplitData.of(tf.data.Dataset.range(3))
    with pytest.raises(UserError, match="--steps: not given"):
        inputs.count_steps(Job(epochs=1.0), data, batch_size=8)
