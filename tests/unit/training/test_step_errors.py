"""What fails in the steps or the evaluation of a user's module is one line, with file and line."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config.errors import PeerError, UserError
from trainer.models import ModelModule, loader
from trainer.training.evaluation import make_evaluate
from trainer.training.step_errors import call_reading_data
from trainer.training.steps import make_train_steps

pytestmark = pytest.mark.tensorflow

MODULE = ModelModule(
    name="net.py", is_builtin=False, keras_model=dict, input_fn=dict, serving_input_fn=dict
)
FEATURES = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")
LABELS = (FEATURES[:, 0] > 0).astype("int32")


class Failing(keras.layers.Layer):
    """Raises what `fail` does when a step calls it, and then what it does in the step."""

    def __init__(self, fail):
        super().__init__()
        self.fail = fail

    def call(self, x, training=None):
        return self.fail(x) if training else x


def steps_of(fail=lambda x: x):
    keras.config.set_dtype_policy("float32")
    x = keras.Input((2,))
    net = keras.Model(x, keras.layers.Dense(3)(Failing(fail)(x)))
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(net.trainable_variables)
    return make_train_steps(net, optimizer, label_smoothing=0.0)


def data(labels=LABELS) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((FEATURES, labels)).batch(2)


def line_of(function, *args, split="train", error=UserError) -> str:
    with pytest.raises(error) as raised:
        call_reading_data(None, function, *args, module=MODULE, split=split)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def raises(x):
    raise KeyError("age")


def in_python(x):
    return tf.ensure_shape(tf.numpy_function(raises, [x], tf.float32), [None, 2])


def in_operation(x):
    with tf.control_dependencies([tf.debugging.assert_less(x, -9.0, message="too large")]):
        return tf.identity(x)


def test_training_data_that_ends_says_what_to_do():
    text = line_of(steps_of(), iter(data()), 10)
    assert text == "--module net.py: its training data ended; input_fn must repeat it"


def test_data_that_fails_later_names_the_error_and_the_line():
    def rows():
        yield FEATURES[0], LABELS[0]
        raise ValueError("row 2 has no label")

    spec = tf.TensorSpec((2,)), tf.TensorSpec((), tf.int32)
    failing = tf.data.Dataset.from_generator(rows, output_signature=spec).batch(1)
    where = f"({__file__}:{rows.__code__.co_firstlineno + 2})"
    assert line_of(steps_of(), iter(failing), 10) == (
        f"input_fn of net.py: its data set fails: ValueError: row 2 has no label {where}"
    )


@pytest.mark.parametrize(
    ("fail", "expected", "place"),
    [
        (raises, "KeyError: age", (raises, 1)),
        (in_python, "KeyError: 'age'", (raises, 1)),
        (in_operation, "InvalidArgumentError: assertion failed: [too large]", (in_operation, 1)),
        (
            lambda x: x if x[0, 0] > 0 else -x,
            "OperatorNotAllowedInGraphError: Python (if, float, NumPy) asks a tensor for its value",
            None,
        ),
    ],
)
def test_a_model_that_fails_in_a_step_only_names_the_error_and_the_line(fail, expected, place):
    text = line_of(steps_of(fail), iter(data().repeat()), 2)
    assert text.startswith(f"--module net.py: a training step fails: {expected}")
    file = f"({__file__}:"
    if place:
        file += str(place[0].__code__.co_firstlineno + place[1])
    assert file in text


def test_labels_that_are_wrong_in_the_test_data_alone_name_it():
    x = keras.Input((2,))
    evaluate = make_evaluate(keras.Model(x, keras.layers.Dense(3)(x)))
    assert line_of(evaluate, data(LABELS + 3), split="test") == (
        "input_fn of net.py: a label is 4 in the test data, expected 0 to 2, as the model has so "
        "many outputs"
    )


def test_features_that_are_wrong_in_the_validation_data_alone_name_it():
    x = keras.Input((3,))
    evaluate = make_evaluate(keras.Model(x, keras.layers.Dense(3)(x)))
    text = line_of(evaluate, data(), split="validation")
    assert "--module net.py: the evaluation on the validation data fails: ValueError: In" in text


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.InternalError(None, None, "Failed to launch the kernel"),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"),
        tf.errors.UnknownError(None, None, "Horovod has been shut down"),
        PeerError("another process is gone"),
        MemoryError(),
    ],
)
def test_what_the_machine_or_other_processes_cause_is_no_mistake(error):
    def fail(*_):
        raise error

    line_of(fail, error=type(error))


def test_what_fails_in_the_built_in_model_is_a_fault_of_the_program():
    def fail(*_):
        raise TypeError("wrong")

    with pytest.raises(TypeError):
        call_reading_data(None, fail, module=loader.load("trainer.model"), split="train")
