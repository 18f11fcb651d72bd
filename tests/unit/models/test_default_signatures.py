import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config import UserError
from trainer.models.default_signatures import signatures_of
from trainer.packaging import call_by_signature, save_model

pytestmark = pytest.mark.tensorflow
layers = keras.layers


def served(model, folder, **more):
    """The signature as a server has it, and the object that keeps its variables."""
    save_model(model, folder, signatures=signatures_of(model, **more))
    loaded = tf.saved_model.load(str(folder))
    return loaded.signatures["serving_default"], loaded


def test_a_model_of_two_inputs_is_asked_by_their_names(tmp_path):
    a, b = keras.Input((2,), name="first"), keras.Input((3,), name="second", dtype="int32")
    joined = layers.Concatenate()([a, layers.Rescaling(1.0)(b)])
    model = keras.Model({"left": a, "right": b}, layers.Dense(3)(joined))
    signature, _kept = served(model, tmp_path, classifies=True)
    one, two = tf.random.uniform((4, 2)), tf.ones((4, 3), tf.int32)
    answer = signature(left=one, right=two)
    np.testing.assert_allclose(
        answer["probabilities"], tf.nn.softmax(model({"left": one, "right": two})), atol=1e-6
    )
    assert answer["classes"].dtype == tf.int64
    (written,) = signatures_of(model, classifies=True).values()
    again = call_by_signature(written, {"right": two, "left": one})
    np.testing.assert_allclose(again["probabilities"], answer["probabilities"], atol=1e-6)


def test_outputs_that_are_no_classes_keep_their_names(tmp_path):
    x = keras.Input((2,), name="x y")
    model = keras.Model(x, {"price": layers.Dense(1)(x), "size": layers.Dense(2)(x)})
    signature, _kept = served(model, tmp_path, classifies=False)
    answer = signature(x_y=tf.ones((5, 2)))
    assert {name: value.shape.as_list() for name, value in answer.items()} == {
        "price": [5, 1],
        "size": [5, 2],
    }


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_output_is_that_of_the_second_of_two_classes(tmp_path, activation):
    model = keras.Sequential([keras.Input((2,), name="x"), layers.Dense(1, activation)])
    signature, _kept = served(model, tmp_path, classifies=True)
    rows = tf.random.normal((6, 2))
    answer, outputs = signature(x=rows), model(rows)[:, 0]
    second = outputs if activation else tf.sigmoid(outputs)
    np.testing.assert_allclose(answer["probabilities"][:, 1], second, atol=1e-6)
    np.testing.assert_allclose(np.sum(answer["probabilities"], 1), 1, atol=1e-6)
    assert answer["classes"].numpy().tolist() == [int(p > 0.5) for p in second]


def test_probabilities_are_not_made_of_probabilities(tmp_path):
    model = keras.Sequential([keras.Input((2,), name="x"), layers.Dense(3, "softmax")])
    signature, _kept = served(model, tmp_path, classifies=True)
    rows = tf.random.normal((6, 2))
    np.testing.assert_allclose(signature(x=rows)["probabilities"], model(rows), atol=1e-6)


def test_a_model_that_does_not_tell_its_inputs_needs_signatures_of_its_own():
    class Unknown(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UserError, match=r"write serving_input_fn\(model\)"):
        signatures_of(Unknown(), classifies=True)
