from types import SimpleNamespace

import pytest
import tensorflow as tf

from trainer.packaging.signature_inputs import call_by_signature, inputs_by_name

pytestmark = pytest.mark.tensorflow

A, B = tf.ones((2, 3)), tf.zeros((2,), tf.int64)


def exported(**specs: tf.TensorSpec) -> SimpleNamespace:
    return SimpleNamespace(structured_input_signature=((), specs))


ONE = exported(x=tf.TensorSpec((None, 3)))
TWO = exported(a=tf.TensorSpec((None, 3)), b=tf.TensorSpec((None,), tf.int64))


@tf.function(
    autograph=False,
    input_signature=[tf.TensorSpec((None,), tf.int64, name="b"), tf.TensorSpec((None, 3))],
)
def written(first, a):
    return tf.cast(first, tf.float32) + tf.reduce_sum(a, 1)


@pytest.mark.parametrize(
    ("signature", "features", "names"),
    [
        (ONE, A, ["x"]),
        (ONE, {"x": A}, ["x"]),
        (ONE, B, None),
        (TWO, {"b": B, "a": A}, ["a", "b"]),
        (TWO, (B, A), ["a", "b"]),
        (TWO, [B, A], ["a", "b"]),
        (TWO, (A, B), None),
        (TWO, {"a": A}, None),
        (TWO, {"a": B, "b": B}, None),
        (TWO, A, None),
    ],
)
def test_features_reach_the_inputs_of_their_names(signature, features, names):
    found = inputs_by_name(signature, features, written=written)
    assert (sorted(found) if found else None) == names


def test_a_function_is_called_by_the_names_of_its_signature():
    assert call_by_signature(written, {"a": A, "b": B}).numpy().tolist() == [3.0, 3.0]
    assert call_by_signature(lambda x: x, {"image": A}) is A
    assert call_by_signature(lambda a, b: a, {"a": A, "b": B}) is A
