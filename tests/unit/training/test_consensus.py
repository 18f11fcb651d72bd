"""What processes agree on; the processes themselves are in tests/integration."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config.errors import PeerError, UserError
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.distribution.strategy import SINGLE_PROCESS, Strategy, raising_peer_error
from trainer.launch.host_settings import public_value
from trainer.training import consensus
from trainer.training.checkpoint_state import Progress

pytestmark = pytest.mark.tensorflow


class Other(Strategy):
    """One of two processes; what the other one adds to each sum is given."""

    processes = 2

    def __init__(self, rank: int, *others: list[float]) -> None:
        self.rank, self.is_chief = rank, rank == 0
        self._others = list(others)

    def sum(self, numbers):
        return np.asarray(numbers, np.float64) + np.asarray(self._others.pop(0))


def job(**fields) -> Job:
    return Job(hparams=Hparams(batch_size=64), **fields)


def test_a_batch_is_shared_and_the_rate_stays():
    batch = consensus.global_batch(job(), replicas=4)
    assert (batch.size, batch.rate_scale) == (64, 1.0)


def test_scaling_gives_each_a_batch_and_raises_the_rate_over_some_epochs():
    batch = consensus.global_batch(job(scaling="linear", scaling_epochs=2.0), replicas=4)
    assert (batch.size, batch.rate_scale) == (256, 4)
    assert batch.scale_steps(steps=1000, epoch=100) == 200
    assert batch.scale_steps(steps=300, epoch=100) == 150


@pytest.mark.parametrize(("size", "replicas", "fits"), [(64, 3, 63), (2, 4, 4)])
def test_a_batch_that_cannot_be_shared_names_one_that_can(size, replicas, fits):
    with pytest.raises(
        UserError, match=f"--batch-size {size}: .* {replicas} replicas; take {fits},"
    ):
        consensus.global_batch(Job(hparams=Hparams(batch_size=size)), replicas=replicas)


def test_others_take_over_where_the_chief_is():
    progress = Progress(
        step=7,
        examples=448,
        best_step=5,
        best_value=0.5,
        train_seconds=1.5,
        waited=2,
        reference=0.4,
    )
    numbers = [7, 448, 5, 0.5, 0, 1.5, 2, 0.4]
    # What a process other than the chief has found counts for nothing.
    found, stop = consensus.share_progress(
        Other(1, [*numbers, 0]), Progress(step=99), stopped=False
    )
    assert found == progress
    assert not stop
    assert isinstance(found.step, int)


@pytest.mark.parametrize(("mine", "theirs", "stop"), [(True, 0, True), (False, 1, True)])
def test_a_request_to_stop_one_process_stops_all(mine, theirs, stop):
    _, found = consensus.share_progress(Other(0, [0] * 8 + [theirs]), Progress(), stopped=mine)
    assert found == stop


class Both:
    """Two processes, each of which gets the sums over both."""

    def __init__(self, *given: dict[str, object]) -> None:
        self._given = [{k: public_value(v) for k, v in each.items()} for each in given]

    def complaint(self, rank: int) -> str | None:
        """Why this process does not go on."""
        sums: list[list[float]] = []
        other = Recording(1 - rank, sums)
        with contextlib.suppress(UserError):
            consensus.check_alike(other, self._given[1 - rank])
        try:
            consensus.check_alike(Other(rank, *sums), self._given[rank])
        except UserError as error:
            return str(error)
        return None


class Recording(Strategy):
    """Notes what one of two processes adds to each sum, which is never what the other does."""

    processes = 2

    def __init__(self, rank: int, sums: list[list[float]]) -> None:
        self.rank, self._sums = rank, sums

    def sum(self, numbers):
        self._sums.append(list(numbers))
        return np.asarray(numbers, np.float64)


def test_processes_that_were_given_the_same_go_on():
    assert (
        Both(
            {"--seed": 1, "--train": "9 examples"}, {"--seed": 1.0, "--train": "9 examples"}
        ).complaint(0)
        is None
    )


@pytest.mark.parametrize("rank", [0, 1])
def test_processes_with_different_settings_get_the_name_of_one(rank):
    both = Both({"--seed": 1, "--train": "8 examples"}, {"--seed": 1, "--train": "9 examples"})
    assert both.complaint(rank) == (
        f"--train: {8 + rank} examples for this process (rank {rank}), something else for rank "
        f"{1 - rank}; give all processes the same"
    )


@pytest.mark.parametrize("rank", [0, 1])
def test_a_hyperparameter_that_only_one_process_has_is_an_error(rank):
    complaint = Both({"--seed": 1}, {"--seed": 1, "--hp width": 3}).complaint(rank)
    expected = ("--hp: not given for", "--hp width: 3 for")
    assert complaint is not None
    assert complaint.startswith(expected[rank])


def test_a_process_that_is_alone_differs_from_nobody():
    consensus.check_alike(SINGLE_PROCESS, {"--seed": public_value(1)})


def network() -> keras.Model:
    image = keras.Input((4,))
    hidden = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(image))
    frozen = keras.layers.BatchNormalization(trainable=False)(hidden)
    return keras.Model(image, keras.layers.Dense(2)(frozen))


def test_moving_averages_are_those_of_layers_that_train():
    moving = consensus.moving_averages(network())
    assert [variable.name for variable in moving] == ["moving_mean", "moving_variance"]


def test_each_replica_drops_other_inputs_and_the_chief_those_of_one_process():
    keras.utils.set_random_seed(3)
    model, optimizer = network(), keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    seed = next(v for v in model.variables if v.path.endswith(consensus.SEED))
    before = seed.numpy().copy()
    for rank, moved in ((0, 0), (1, 1)):
        seed.assign(before)
        consensus.broadcast_state(Other(rank), model, optimizer)
        np.testing.assert_array_equal(seed.numpy(), before + np.array([moved, 0], before.dtype))
    seed.assign(before)
    consensus.broadcast_state(SINGLE_PROCESS, model, optimizer)
    np.testing.assert_array_equal(seed.numpy(), before)


def test_different_weights_at_the_end_are_an_error():
    model = network()
    digest = int(consensus.check_equal(SINGLE_PROCESS, model)[0], 16)
    assert consensus.check_equal(Other(0, [0, digest]), model) == [f"{digest:08x}"] * 2
    with pytest.raises(RuntimeError, match="different weights"):
        consensus.check_equal(Other(0, [0, digest ^ 1]), model)


def test_an_error_of_a_lost_process_says_so_without_where_it_happened():
    with (
        pytest.raises(PeerError, match=r"is gone: connection reset by peer$"),
        raising_peer_error(OSError),
    ):
        raise OSError("Graph execution error:\n\nDetected at node x\nconnection reset by peer")
    with pytest.raises(KeyError), raising_peer_error(OSError):
        raise KeyError("mine")


def test_an_error_of_a_users_data_is_not_taken_for_a_lost_process():
    def rows():
        yield 1.0
        raise ValueError("row 2 is empty")

    data = tf.data.Dataset.from_generator(rows, output_signature=tf.TensorSpec(()))
    total = tf.function(lambda source: source.reduce(0.0, lambda a, b: a + b))
    with (
        pytest.raises(tf.errors.OpError, match="row 2 is empty"),
        raising_peer_error(tf.errors.OpError),
    ):
        total(data)
