"""TensorFlow's synchronous strategies with one replica: they train what one process trains."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.config import Hparams, Job
from trainer.distribution.mirrored_tf import make_mirrored, make_multi_worker
from trainer.distribution.strategy import SINGLE_PROCESS
from trainer.training.loop import train_and_evaluate

pytestmark = pytest.mark.tensorflow


def job(folder, precision: str = "float32") -> Job:
    hparams = Hparams(model="fast", precision=precision, batch_size=20)
    return Job(hparams=hparams, steps=6, model_dir=str(folder / "model"), report=False)


def weights(metrics: dict) -> list[np.ndarray]:
    loaded = tf.saved_model.load(metrics["model_path"])
    return [v.numpy() for v in loaded.signatures["serving_default"].variables]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict:
    """A run of one process without such a strategy."""
    return train_and_evaluate(job(tmp_path_factory.mktemp("alone")), strategy=SINGLE_PROCESS)


@pytest.mark.parametrize("make", [make_mirrored, make_multi_worker])
def test_one_replica_trains_as_one_process_does(make, alone, tmp_path):
    own = job(tmp_path)
    strategy = make(own)
    assert (strategy.replicas, strategy.processes, strategy.is_chief) == (1, 1, True)
    mirrored = train_and_evaluate(own, strategy=strategy)
    assert mirrored["test_accuracy"] == pytest.approx(alone["test_accuracy"], abs=0.01)
    for here, there in zip(weights(mirrored), weights(alone), strict=True):
        np.testing.assert_allclose(here, there, atol=1e-4)


def test_numbers_of_one_replica_are_their_own_sum_and_mean(tmp_path):
    strategy = make_mirrored(job(tmp_path))
    np.testing.assert_array_equal(strategy.sum([1.0, 2.5]), [1.0, 2.5])
    with strategy.scope():
        variable = tf.Variable([1.0, 3.0])
    strategy.broadcast([variable])
    strategy.average([variable])
    np.testing.assert_array_equal(variable.numpy(), [1.0, 3.0])
    assert strategy.on_replicas(lambda: None) is None
    np.testing.assert_array_equal(strategy.on_replicas(lambda: tf.constant([4.0])), [4.0])


@pytest.mark.parametrize(("precision", "sums"), [("float32", True), ("float16", False)])
def test_the_optimizer_sums_gradients_unless_it_scales_the_loss(tmp_path, precision, sums):
    strategy = make_mirrored(job(tmp_path, precision))
    assert strategy.sums_in_update is sums

    def gradients() -> tf.Tensor:
        return strategy.sum_gradients([tf.constant([2.0])])[0]

    np.testing.assert_array_equal(strategy.on_replicas(gradients), [2.0])
