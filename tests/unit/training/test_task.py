import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config import UserError
from trainer.models import ModelModule
from trainer.training.evaluation import make_evaluate
from trainer.training.steps import make_train_steps
from trainer.training.task import Task, task_of

pytestmark = pytest.mark.tensorflow
RNG = np.random.default_rng(0)
LOGITS = tf.constant(RNG.normal(size=(6, 3)), tf.float32)
LABELS = tf.constant([0, 2, 1, 1, 0, 2])


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)


def net(units: int = 3, activation: str | None = None) -> keras.Model:
    x = keras.Input((2,))
    return keras.Model(x, keras.layers.Dense(units, activation)(x))


def module(**more) -> ModelModule:
    unused = types.SimpleNamespace
    return ModelModule(
        name="mine", is_builtin=False, keras_model=unused, input_fn=unused,
        serving_input_fn=unused, **more,
    )  # fmt: skip


def task(labels, outputs, model: keras.Model | None = None, **more) -> Task:
    return task_of(module(**more), model or net(), labels, outputs)


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        tf.cast(LABELS, tf.uint8),
        LABELS[:, None],
        tf.one_hot(LABELS, 3),
        tf.one_hot(LABELS, 3, dtype=tf.int64),
    ],
    ids=["sparse", "bytes", "column", "one-hot", "whole one-hot"],
)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_each_form_of_labels_of_classes_has_the_loss_of_keras(labels, smoothing):
    found = task(labels, LOGITS)
    expected = keras.losses.categorical_crossentropy(
        tf.one_hot(LABELS, 3), LOGITS, from_logits=True, label_smoothing=smoothing
    )
    np.testing.assert_allclose(
        found.losses(labels, LOGITS, smoothing=smoothing), expected, atol=1e-6
    )
    right = np.argmax(LOGITS, 1) == LABELS.numpy()
    assert found.scores(labels, LOGITS).numpy().tolist() == right.astype(float).tolist()
    assert float(found.sum_of_scores(labels, LOGITS)) == right.sum()
    classes, logits = found.choices(labels, LOGITS)
    assert classes.numpy().tolist() == LABELS.numpy().tolist()
    np.testing.assert_allclose(logits, LOGITS)


@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize("column", [True, False])
def test_one_output_chooses_one_of_two_classes(activation, column):
    logits, labels = LOGITS[:, :1], tf.constant([1, 0, 1, 1, 0, 0])
    outputs = tf.sigmoid(logits) if activation else logits
    given = labels[:, None] if column else labels
    found = task(given, outputs, net(1, activation))
    expected = keras.losses.binary_crossentropy(labels[:, None], logits, from_logits=True)
    np.testing.assert_allclose(found.losses(given, outputs), expected, atol=1e-5)
    right = (logits.numpy()[:, 0] > 0) == (labels.numpy() == 1)
    assert float(found.sum_of_scores(given, outputs)) == right.sum()
    classes, two = found.choices(given, outputs)
    assert classes.numpy().tolist() == labels.numpy().tolist()
    np.testing.assert_allclose(tf.nn.softmax(two)[:, 1], tf.sigmoid(logits)[:, 0], atol=1e-5)


def test_numbers_are_a_regression_where_the_module_says_so():
    outputs, labels = LOGITS[:, :1], LOGITS[:, 1]
    found = task(labels, outputs, task="regression")
    off = outputs.numpy()[:, 0] - labels.numpy()
    np.testing.assert_allclose(found.losses(labels, outputs), off**2, atol=1e-6)
    assert found.score == "mean_absolute_error"
    assert float(found.sum_of_scores(labels, outputs)) == pytest.approx(np.abs(off).sum())
    assert found.choices(labels, outputs) is None


def test_weights_multiply_the_losses_of_their_examples():
    weights = tf.constant([[0.0], [1.0], [2.0], [0.5], [1.0], [1.0]])
    found = task(LABELS, LOGITS)
    expected = found.losses(LABELS, LOGITS).numpy() * weights.numpy()[:, 0]
    np.testing.assert_allclose(found.losses(LABELS, LOGITS, weights), expected)


def test_labels_of_each_place_count_as_the_mean_of_their_example():
    outputs = tf.constant(RNG.normal(size=(2, 5, 3)), tf.float32)
    labels = tf.constant(RNG.integers(0, 3, (2, 5)))
    found = task(labels, outputs)
    expected = keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)
    np.testing.assert_allclose(found.losses(labels, outputs), np.mean(expected, 1), atol=1e-6)
    right = (np.argmax(outputs, 2) == labels.numpy()).mean(1)
    np.testing.assert_allclose(found.scores(labels, outputs), right)
    assert float(found.sum_of_scores(labels, outputs)) == pytest.approx(right.sum())
    assert found.choices(labels, outputs) is None


FORMS = {
    "sparse": (3, LABELS, {}),
    "column": (3, LABELS[:, None], {}),
    "one-hot": (3, tf.one_hot(LABELS, 3), {}),
    "binary": (1, LABELS % 2, {}),
    "regression": (1, LOGITS[:, 0], {"task": "regression"}),
    "own": (3, tf.one_hot(LABELS, 3), {"loss_fn": lambda y, o, w: tf.square(y - o)}),
}


@pytest.mark.parametrize(
    ("units", "labels", "more", "places"),
    [
        pytest.param(*form, places, id=f"{name}, places" if places else name)
        for name, form in FORMS.items()
        # A single output has no places.
        for places in ((False,) if form[0] == 1 else (False, True))
    ],
)
def test_each_form_trains_and_is_evaluated_in_a_graph(units, labels, more, places):
    if places:
        # A label for each of four places of an example.
        labels = tf.stack([labels] * 4, axis=1)
    x = keras.Input((4, 2) if places else (2,))
    model, optimizer = keras.Model(x, keras.layers.Dense(units)(x)), keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    features = tf.ones((6, 4, 2) if places else (6, 2))
    data = tf.data.Dataset.from_tensor_slices((features, labels)).batch(3)
    own = task_of(module(**more), model, data.element_spec[1], model.output)
    [[loss, plain, score]] = make_train_steps(model, optimizer, label_smoothing=0.0, task=own)(
        iter(data.repeat()), 1
    )
    assert loss == plain
    assert score >= 0
    evaluation = make_evaluate(model, task=own, with_answers=True)(data)
    assert np.isfinite(evaluation.loss)
    assert (evaluation.accuracy is None) == (own.score != "accuracy")
    assert evaluation.answers.problem is None


def test_a_loss_of_the_modules_own_takes_any_structure():
    outputs = {"price": LOGITS[:, :1], "kind": LOGITS}
    labels = {"price": LOGITS[:, 1:2], "kind": LABELS}

    def loss_fn(labels, outputs, sample_weight):
        assert sample_weight is None
        return tf.square(labels["price"] - outputs["price"])

    found = task(labels, outputs, loss_fn=loss_fn)
    expected = np.square(labels["price"] - outputs["price"])[:, 0]
    np.testing.assert_allclose(found.losses(labels, outputs), expected)
    assert found.score is None
    assert found.scores(labels, outputs).numpy().tolist() == [0.0] * 6


def test_one_loss_of_a_batch_counts_for_each_of_its_examples():
    found = task(LABELS, LOGITS, loss_fn=lambda labels, outputs, sample_weight: tf.constant(2.0))
    assert found.losses(LABELS, LOGITS).numpy().tolist() == [2.0] * 6
    # Labels and outputs are those of classes all the same.
    assert found.score == "accuracy"


UNKNOWN = tf.TensorSpec(None, tf.int32)


@pytest.mark.parametrize(
    ("labels", "outputs", "more", "expected"),
    [
        (
            LOGITS[:, 0], LOGITS, {},
            "input_fn of mine: its labels are float32 [6] for outputs float32 [6, 3], expected "
            'integer classes or one-hot rows; for numbers set TASK = "regression" in the module, '
            "or write a loss_fn(labels, outputs, sample_weight)",
        ),
        (LOGITS[:, 0], LOGITS[:, :1], {}, "for numbers set TASK"),
        (
            LOGITS[:, :2], LOGITS, {"task": "regression"},
            "its labels are float32 [6, 2] for outputs float32 [6, 3], expected numbers of the "
            "same shape (regression)",
        ),
        (
            LABELS, [LOGITS, LOGITS], {},
            "keras_model of mine: its model has 2 outputs, (float32 [6, 3], float32 [6, 3]), "
            "expected one; give it one, or write a loss_fn",
        ),
        ({"a": LABELS}, LOGITS, {}, "its labels are {a: int32 [6]}, expected one tensor"),
        (UNKNOWN, LOGITS, {}, "its labels are int32 of unknown rank; give their shape"),
        (tf.constant(["a"]), LOGITS, {}, "its labels are string [1] for outputs float32 [6, 3]"),
        (
            tf.zeros((6, 5), tf.int32), LOGITS, {},
            "expected integers [?] from 0 to 2, or one-hot rows; change one of them",
        ),
    ],
)  # fmt: skip
def test_labels_and_outputs_that_do_not_fit_are_one_line(labels, outputs, more, expected):
    with pytest.raises(UserError) as error:
        task(labels, outputs, **more)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_regression_learns_and_is_evaluated_by_its_error():
    model, optimizer = net(1), keras.optimizers.Adam(0.05)
    optimizer.build(model.trainable_variables)
    features = RNG.normal(size=(64, 2)).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((features, features @ [2.0, -1.0]))
    own = task_of(module(task="regression"), model, data.batch(16).element_spec[1], model.output)
    steps = make_train_steps(model, optimizer, label_smoothing=0.0, task=own)
    steps(iter(data.batch(16).repeat()), 400)
    evaluation = make_evaluate(model, task=own)(data.batch(10))
    assert evaluation.accuracy is None
    assert evaluation.more["mean_absolute_error"] < 0.05
    off = model(features).numpy()[:, 0] - features @ [2.0, -1.0]
    assert evaluation.loss == pytest.approx(np.mean(off**2), rel=1e-3)
    assert list(evaluation.values) == ["loss", "mean_absolute_error"]


def test_weights_of_a_data_set_weigh_the_steps():
    def after(*weights):
        keras.utils.set_random_seed(0)
        model, optimizer = net(), keras.optimizers.SGD(0.1)
        optimizer.build(model.trainable_variables)
        rows = (tf.ones((4, 2)), tf.constant([0, 1, 2, 0]), *weights)
        data = tf.data.Dataset.from_tensors(rows).repeat()
        steps = make_train_steps(model, optimizer, label_smoothing=0.0, own_weights=True)
        [figures] = steps(iter(data), 1)
        return figures, model.get_weights()

    plain, twice = after(), after(tf.fill([4], 2.0))
    assert twice[0][0] == pytest.approx(2 * plain[0][0])
    none, _weights = after(tf.zeros([4]))
    assert none[0] == 0
    np.testing.assert_allclose(after(tf.ones([4]))[1][0], plain[1][0], atol=1e-6)
