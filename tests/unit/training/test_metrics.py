import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config import UserError
from trainer.models import ModelModule
from trainer.training.metrics import ModuleMetrics, metrics_of

pytestmark = pytest.mark.tensorflow
metrics = keras.metrics
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, (40, 1)).astype(np.float32)
OUTPUTS = RNG.random((40, 1)).astype(np.float32)


def made(returned) -> ModuleMetrics:
    unused = types.SimpleNamespace
    return metrics_of(
        ModelModule(
            name="mine", is_builtin=False, keras_model=unused, input_fn=unused,
            serving_input_fn=unused, metrics=lambda: returned,
        )
    )  # fmt: skip


def added(own: ModuleMetrics, sizes=(7, 13, 20)) -> dict[str, float]:
    """The results of batches of several sizes."""
    own.build(LABELS[:1], OUTPUTS[:1])
    add = tf.function(own.added, autograph=False, reduce_retracing=True)
    total, start = np.zeros(own.size), 0
    for size in sizes:
        rows = slice(start, start + size)
        total += add(LABELS[rows], OUTPUTS[rows]).numpy()
        start += size
    return own.results(total)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.MeanAbsoluteError(), metrics.RootMeanSquaredError(), metrics.AUC(),
        metrics.R2Score(), metrics.Precision(), metrics.F1Score(average="micro", threshold=0.5),
        metrics.MeanIoU(num_classes=2, sparse_y_pred=True),
    ],
    ids=lambda metric: metric.name,
)  # fmt: skip
def test_batches_add_up_to_what_the_metric_says_of_all_of_them(metric):
    own = added(made([metric]))
    metric.reset_state()
    metric.update_state(LABELS, OUTPUTS)
    assert own == {metric.name: pytest.approx(float(metric.result()), rel=1e-5)}


class Count(keras.Metric):
    """A metric as Keras' own guide writes one: its result is its variable."""

    def __init__(self):
        super().__init__(name="count")
        self.total = self.add_weight(initializer="zeros")

    def update_state(self, labels, outputs, sample_weight=None):
        self.total.assign_add(keras.ops.cast(keras.ops.shape(labels)[0], "float32"))

    def result(self):
        return self.total


def test_a_result_that_is_a_variable_is_of_all_batches():
    assert added(made([Count()])) == {"count": 40.0}


def test_metrics_have_names_and_may_look_at_one_of_several_outputs():
    own = made({"area": metrics.AUC(), "price": {"off": metrics.MeanAbsoluteError()}})
    assert own.names == ("area", "price_off")
    own = made({"price": {"off": metrics.MeanAbsoluteError()}})
    labels, outputs = ({"price": each, "other": each[:2]} for each in (LABELS, OUTPUTS))
    own.build(labels, outputs)
    expected = np.abs(LABELS - OUTPUTS).mean()
    assert own.results(own.added(labels, outputs))["price_off"] == pytest.approx(expected)


def test_weights_of_examples_weigh_the_metrics():
    own = made(metrics.MeanAbsoluteError())
    own.build(LABELS, OUTPUTS)
    weights = np.arange(40)[:, None]
    expected = np.average(np.abs(LABELS - OUTPUTS), weights=weights)
    found = own.results(own.added(LABELS, OUTPUTS, weights))
    assert found["mean_absolute_error"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("mae", "metrics of mine: metrics is 'mae'; return Keras metrics by name"),
        ({"mae": "mae"}, "metrics of mine: mae is 'mae'; return Keras metrics by name"),
        ([metrics.AUC(), metrics.AUC()], "the name auc is taken"),
        ({"loss": metrics.AUC()}, "the name loss is taken; give each metric a name of its own"),
    ],
)
def test_what_is_no_metric_is_one_line(returned, expected):
    if isinstance(returned, list):
        returned = [metrics.AUC(name="auc"), metrics.AUC(name="auc")]
    with pytest.raises(UserError) as error:
        made(returned)
    assert expected in str(error.value)
