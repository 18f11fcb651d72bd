import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config.errors import DataError
from trainer.training.evaluation import make_evaluate
from trainer.training.losses import make_loss
from trainer.training.steps import make_train_steps

pytestmark = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)


def linear(*, softmax: bool = False, penalty: float = 0.0) -> keras.Model:
    x = keras.Input((2,))
    y = keras.layers.Dense(
        3,
        activation="softmax" if softmax else None,
        kernel_regularizer=keras.regularizers.L2(penalty) if penalty else None,
    )(x)
    return keras.Model(x, y)


def data(size: int = 6) -> tf.data.Dataset:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(size, 2)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((features, (features[:, 0] > 0).astype(np.int32)))


def trained(calls: list[int], **model) -> tuple[np.ndarray, np.ndarray]:
    keras.utils.set_random_seed(0)
    net, optimizer = linear(**model), keras.optimizers.SGD(0.1)
    optimizer.build(net.trainable_variables)
    steps = make_train_steps(net, optimizer, label_smoothing=0.0)
    iterator = iter(data().batch(2).repeat())
    figures = np.concatenate([steps(iterator, count) for count in calls])
    return figures[:, 0], np.concatenate([w.ravel() for w in net.get_weights()])


def test_how_steps_are_divided_into_calls_changes_nothing():
    one, ten = trained([1] * 10), trained([3, 7])
    np.testing.assert_array_equal(one[0], ten[0])
    np.testing.assert_array_equal(one[1], ten[1])
    assert one[0][-1] < one[0][0]


def test_a_penalty_of_the_model_counts_in_its_loss():
    assert trained([1], penalty=1.0)[0][0] > trained([1])[0][0] + 0.1


def test_a_step_is_gradient_descent_on_the_mean_loss():
    net = linear()
    kernel, bias = (w.copy() for w in net.get_weights())
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(net.trainable_variables)
    features, labels = next(iter(data().batch(6)))
    make_train_steps(net, optimizer, label_smoothing=0.0)(iter(data().batch(6)), 1)
    logits = features.numpy() @ kernel + bias
    error = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(3)[labels.numpy()]
    np.testing.assert_allclose(
        net.get_weights()[0], kernel - 0.1 * features.numpy().T @ error / 6, atol=1e-6
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_step_reports_the_cross_entropy_and_accuracy_that_an_evaluation_would(smoothing):
    net, optimizer = linear(penalty=1.0), keras.optimizers.SGD(0.1)
    optimizer.build(net.trainable_variables)
    before = make_evaluate(net)(data(6).batch(6))
    steps = make_train_steps(net, optimizer, label_smoothing=smoothing)
    [[loss, entropy, accuracy]] = steps(iter(data(6).batch(6)), 1)
    assert (entropy, accuracy) == pytest.approx((before.loss, before.accuracy), rel=1e-5)
    # The penalty is in what the step makes smaller only.
    assert loss > entropy + 0.1


def test_examples_of_no_weight_count_in_no_figure_of_a_step():
    net, optimizer = linear(), keras.optimizers.SGD(0.0)
    optimizer.build(net.trainable_variables)
    features, labels = next(iter(data(6).batch(6)))
    weights = tf.constant([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    steps = make_train_steps(net, optimizer, label_smoothing=0.1, batch_size=3)
    [figures] = steps(iter([(features, labels, weights)]), 1)
    halved = make_train_steps(net, optimizer, label_smoothing=0.1)
    [expected] = halved(iter([(features[:3], labels[:3])]), 1)
    np.testing.assert_allclose(figures, expected, rtol=1e-5)


def test_a_softmax_in_the_model_gives_the_same_loss():
    logits = tf.constant([[1.0, 2.0, 0.5], [0.1, -1.0, 3.0]])
    labels = tf.constant([1, 0])
    plain = make_loss(linear())(labels, logits)
    undone = make_loss(linear(softmax=True))(labels, tf.nn.softmax(logits))
    np.testing.assert_allclose(plain, undone, atol=1e-5)


def test_label_smoothing_is_keras_own():
    logits, labels = tf.constant([[1.0, 2.0, 0.5]]), tf.constant([2])
    ours = make_loss(linear(), label_smoothing=0.1)(labels, logits)
    theirs = keras.losses.categorical_crossentropy(
        tf.one_hot(labels, 3), logits, from_logits=True, label_smoothing=0.1
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 4, 6, 100])
def test_evaluation_counts_every_example_once_whatever_the_batch(batch):
    net = linear()
    features, labels = next(iter(data(6).batch(6)))
    tested = make_evaluate(net)(data(6).batch(batch))
    right = np.argmax(net(features), axis=1) == labels.numpy()
    assert tested.accuracy == pytest.approx(right.mean())
    assert tested.loss == pytest.approx(
        float(np.mean(make_loss(net)(labels, net(features)))), rel=1e-5
    )


def test_evaluation_gives_up_when_asked_to_stop():
    answers = iter([False, True])
    assert make_evaluate(linear(), stopped=lambda: next(answers))(data(6).batch(2)) is None


def test_evaluation_of_nothing_is_an_error():
    with pytest.raises(DataError, match="no examples"):
        make_evaluate(linear())(data().take(0).batch(2))
