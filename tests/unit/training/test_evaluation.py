"""The answers that an evaluation keeps are those that NumPy finds, on the real test digits."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.distribution import SINGLE_PROCESS
from trainer.models import loader
from trainer.training import inputs
from trainer.training.answer_totals import AnswerTotals, total_answers
from trainer.training.answers import BINS, UNCERTAIN, WORST
from trainer.training.evaluation import make_evaluate
from trainer.training.pictures import Naming, picture_size, thumbnail
from trainer.training.run_data import SplitData

pytestmark = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)


def classifier(shape: tuple[int, ...]) -> keras.Model:
    x = keras.Input(shape)
    return keras.Model(x, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


def answered(model: keras.Model, data: SplitData, *, report: bool = True) -> AnswerTotals | None:
    found = make_evaluate(model, with_answers=True)(data.dataset)
    assert found is not None and found.answers is not None
    features = data.dataset.element_spec[0]
    naming = Naming(data) if report else None
    return total_answers((7, found.answers), SINGLE_PROCESS, features=features, naming=naming)


def test_the_answers_to_the_real_test_digits_are_those_that_numpy_finds(mnist_dir: Path):
    job = Job(hparams=Hparams(), train=(str(mnist_dir),), eval_batch_size=999)
    data = inputs.evaluation_data(job, loader.load(job.module), SINGLE_PROCESS, split="test")
    model = classifier((28, 28, 1))
    totals = answered(model, data)
    assert totals is not None

    images, labels = data.stream.tables[0].read(0, 10_000)
    kernel, bias = model.get_weights()
    logits = images.reshape(-1, 784) / np.float32(255) @ kernel + bias
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    predicted, confidence = shares.argmax(1), shares.max(1)
    expected = np.bincount(labels.astype(int) * 10 + predicted, minlength=100).reshape(10, 10)
    np.testing.assert_array_equal(totals.confusion, expected)

    json = totals.as_json()
    assert (json["step"], json["examples"], json["classes"][-1]) == (7, 10_000, "9")
    edges = np.linspace(0, 1, BINS + 1)
    # A probability at the edge of an interval may round to either side.
    counts = [b["count"] for b in json["calibration"]]
    np.testing.assert_allclose(counts, np.histogram(confidence, edges)[0], atol=2)
    right = sum(b["count"] * b.get("accuracy", 0) for b in json["calibration"])
    assert right == pytest.approx((predicted == labels).sum())

    losses = -np.log(shares[np.arange(10_000), labels])
    worst = np.argsort(-losses)[:WORST]
    assert {one.example for one in totals.worst} == set(worst.tolist())
    assert {one.file for one in totals.worst} == {"t10k-images-idx3-ubyte.gz"}
    np.testing.assert_allclose([one.loss for one in totals.worst], losses[worst], rtol=1e-3)
    two = np.sort(shares, axis=1)[:, -2:]
    margins = two[:, 1] - two[:, 0]
    closest = [margins[one.example] for one in totals.uncertain]
    np.testing.assert_allclose(closest, np.sort(margins)[:UNCERTAIN], atol=1e-6)
    for one in totals.worst:
        assert one.label == labels[one.example] and one.predicted == predicted[one.example]
        np.testing.assert_array_equal(one.pixels, images[one.example])


def test_a_run_without_report_has_counts_and_no_pictures():
    images = tf.random.uniform((6, 8, 8, 3))
    data = SplitData.of(tf.data.Dataset.from_tensor_slices((images, [0] * 6)).batch(4))
    shown, plain = (answered(classifier((8, 8, 3)), data, report=on) for on in (True, False))
    assert shown and plain and len(shown.worst) == 6
    assert plain.worst == plain.uncertain == []
    assert plain.confusion.sum() == 6


def test_rows_of_a_table_give_counts_and_no_pictures():
    rows = tf.random.uniform((6, 4))
    totals = answered(
        classifier((4,)), SplitData.of(tf.data.Dataset.from_tensor_slices((rows, [1] * 6)).batch(4))
    )
    assert totals and totals.confusion.sum() == 6 and totals.worst == []


def test_an_error_in_the_counting_leaves_the_evaluation_as_it_is():
    class Broken(keras.layers.Layer):
        def call(self, x):
            return tf.concat([x, x * np.inf], axis=1)

    x = keras.Input((4,))
    model = keras.Model(x, Broken()(x))
    data = tf.data.Dataset.from_tensor_slices((tf.ones((6, 4)), [1] * 6)).batch(4)
    found = make_evaluate(model, with_answers=True)(data)
    assert found is not None and found.answers is not None and found.answers.problem
    totals = total_answers(
        (1, found.answers), SINGLE_PROCESS, features=data.element_spec[0], naming=None
    )
    assert totals is None


def test_a_picture_is_no_larger_than_64_pixels_and_of_any_scale():
    spec = tf.TensorSpec((None, 128, 96, 3), tf.float32)
    assert picture_size(spec) == (64, 48, 3)
    assert picture_size({"a": spec}) is None
    assert picture_size(tf.TensorSpec((None, 20, 3), tf.float32)) is None
    image = np.linspace(-1, 1, 128 * 96 * 3, dtype=np.float32).reshape(128, 96, 3)
    small = thumbnail(image, (64, 48, 3))
    assert (small.shape, small.min(), small.max()) == ((64, 48, 3), 0, 255)
