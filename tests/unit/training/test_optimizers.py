import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config.hparams import Hparams
from trainer.training.optimizers import FusedAdam, FusedSGD, Schedule, make_optimizer

pytestmark = pytest.mark.tensorflow

HPARAMS = Hparams(
    optimizer="adam", schedule="constant", warmup=0.0, learning_rate=0.01, beta_1=0.8, beta_2=0.9,
    precision="float32",
)  # fmt: skip


def rates(kind: str, warmup: float, steps: int = 100) -> np.ndarray:
    schedule = Schedule(kind=kind, peak=2.0, steps=steps, warmup=warmup)
    return np.array([float(schedule(step)) for step in range(steps + 1)])


@pytest.mark.parametrize("kind", ["constant", "cosine", "one-cycle"])
@pytest.mark.parametrize("warmup", [0.0, 0.3, 1.0])
def test_no_schedule_is_ever_above_its_peak_or_below_zero(kind, warmup):
    curve = rates(kind, warmup)
    assert (curve >= 0).all()
    assert (curve <= 2.0 + 1e-6).all()
    assert np.isfinite(curve).all()


def test_constant_stays_at_its_peak():
    np.testing.assert_allclose(rates("constant", 0.0), 2.0)


def test_cosine_falls_from_its_peak_to_zero_and_is_halfway_in_the_middle():
    curve = rates("cosine", 0.0)
    np.testing.assert_allclose([curve[0], curve[50], curve[100]], [2, 1, 0], atol=1e-6)


def test_one_cycle_rises_to_its_peak_at_the_end_of_the_warm_up_then_falls_to_nearly_nothing():
    curve = rates("one-cycle", 0.3)
    assert curve.argmax() == 30
    assert curve[30] == pytest.approx(2.0)
    assert (np.diff(curve[:31]) > 0).all()
    assert (np.diff(curve[30:]) < 0).all()
    assert curve[0] < 0.3
    assert curve[100] < 1e-4


def test_the_rate_of_several_processes_rises_to_their_number_times_that_of_one():
    one, four = (
        Schedule(kind="constant", peak=0.1, steps=100, warmup=0, scale=scale, scale_steps=20)
        for scale in (1, 4)
    )
    rates = [float(four(step)) / float(one(step)) for step in (0, 10, 20, 99)]
    assert rates == pytest.approx([1, 2.5, 4, 4])


def test_a_schedule_survives_its_configuration():
    schedule = Schedule(kind="cosine", peak=2.0, steps=10, warmup=0.1)
    again = Schedule.from_config(schedule.get_config())
    assert float(again(3)) == float(schedule(3))


ADAM = {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-8}


@pytest.mark.parametrize(
    ("kinds", "knobs"),
    [
        ((FusedAdam, keras.optimizers.Adam), ADAM),
        ((FusedAdam, keras.optimizers.Adam), {**ADAM, "weight_decay": 0.1}),
        ((FusedSGD, keras.optimizers.SGD), {}),
        ((FusedSGD, keras.optimizers.SGD), {"momentum": 0.9}),
        ((FusedSGD, keras.optimizers.SGD), {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_the_fused_update_is_keras_own(kinds, knobs):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(5, 3)).astype(np.float32)
    ours, theirs = (kind(0.01, **knobs) for kind in kinds)
    a, b = (keras.Variable(start) for _ in range(2))
    for _ in range(20):
        gradient = tf.constant(rng.normal(size=(5, 3)).astype(np.float32))
        ours.apply([gradient], [a])
        theirs.apply([gradient], [b])
    assert int(ours.iterations) == 20
    np.testing.assert_allclose(a.numpy(), b.numpy(), atol=2e-6)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", FusedAdam), ("adamw", FusedAdam), ("sgd", FusedSGD)],
)
def test_each_name_makes_its_optimizer_and_it_learns(name, kind):
    optimizer = make_optimizer(dataclasses.replace(HPARAMS, optimizer=name), steps=50)
    assert isinstance(optimizer, kind)
    assert (optimizer.weight_decay is not None) == (name == "adamw")
    x = keras.Variable(3.0)
    for _ in range(50):
        optimizer.apply([2 * (x - 2.5)], [x])
    assert abs(float(x) - 2.5) < 0.2


def test_float16_scales_the_loss():
    optimizer = make_optimizer(dataclasses.replace(HPARAMS, precision="float16"), steps=5)
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
