import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config import UserError
from trainer.models.default_signatures import signatures_of
from trainer.packaging import call_by_signature, inputs_by_name, save_model

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


def ragged_model(shape=(None,)):
    tokens = keras.Input(shape, dtype="int32", ragged=True, name="tokens")
    weight = keras.Input((1,), name="weight")
    rows = layers.Lambda(
        lambda rows: tf.cast(tf.reduce_mean(rows, axis=1, keepdims=True), tf.float32),
        output_shape=(1,),
    )(tokens)
    outputs = layers.Dense(2)(layers.Concatenate()([rows, weight]))
    return keras.Model({"tokens": tokens, "weight": weight}, outputs)


def test_a_ragged_input_is_rows_filled_up_with_their_lengths(tmp_path):
    model = ragged_model()
    signature, _kept = served(model, tmp_path, classifies=True)
    rows = tf.ragged.constant([[2, 4, 6], [7], [8, 9]], dtype=tf.int32)
    features = {"tokens": rows, "weight": tf.ones((3, 1))}
    expected = tf.nn.softmax(model(features))
    filled = rows.to_tensor(default_value=99)
    answer = signature(tokens=filled, tokens_length=rows.row_lengths(), weight=features["weight"])
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
    # As an export is compared with the model.
    (written,) = signatures_of(model, classifies=True).values()
    inputs = inputs_by_name(signature, features, written=written)
    assert inputs["tokens_length"].numpy().tolist() == [3, 1, 2]
    np.testing.assert_allclose(signature(**inputs)["probabilities"], expected, atol=1e-6)


def test_the_only_input_may_be_ragged(tmp_path):
    tokens = keras.Input((None,), dtype="float32", ragged=True, name="tokens")
    means = layers.Lambda(
        lambda rows: tf.reduce_mean(rows, axis=1, keepdims=True), output_shape=(1,)
    )
    model = keras.Model(tokens, layers.Dense(1)(means(tokens)))
    signature, _kept = served(model, tmp_path, classifies=False)
    rows = tf.ragged.constant([[2.0, 4.0], [7.0]])
    (answer,) = signature(**inputs_by_name(signature, rows)).values()
    np.testing.assert_allclose(answer, model(rows), atol=1e-6)


def test_an_input_that_is_ragged_in_several_dimensions_is_one_line():
    tokens = keras.Input((None, None), ragged=True, name="tokens")
    sums = layers.Lambda(lambda rows: tf.reduce_sum(rows, axis=[1, 2]), output_shape=())
    with pytest.raises(UserError, match="input tokens is ragged in several dimensions; write"):
        signatures_of(keras.Model(tokens, sums(tokens)), classifies=False)


def test_texts_are_an_input(tmp_path):
    text = keras.Input((), dtype="string", name="text")
    tokens = layers.TextVectorization(vocabulary=["good", "bad"], output_sequence_length=3)(text)
    model = keras.Model(text, layers.Dense(2)(layers.Rescaling(1.0)(tokens)))
    signature, _kept = served(model, tmp_path, classifies=True)
    answer = signature(text=tf.constant(["good", "bad bad"]))
    assert answer["classes"].shape == [2]
