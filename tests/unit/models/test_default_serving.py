import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.data import ImageSpec, encode_examples
from trainer.models.default_serving import ImageServing
from trainer.packaging import save_model

pytestmark = pytest.mark.tensorflow
layers = keras.layers
IMAGES = tf.constant(np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3)) / 255, tf.float32)


def images_model(activation: str | None = None) -> keras.Model:
    x = keras.Input((8, 6, 3), name="picture")
    return keras.Model(x, layers.Dense(4, activation)(layers.Flatten()(x)))


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_model_of_images_takes_pictures_and_examples_as_well(tmp_path, activation):
    model, serving = images_model(activation), ImageServing(classifies=True)
    save_model(model, tmp_path, signatures=serving.signatures(model))
    loaded = tf.saved_model.load(str(tmp_path))
    samples = serving.samples(IMAGES)
    assert sorted(loaded.signatures) == sorted(samples)
    assert sorted(samples) == ["serving_bytes", "serving_default", "serving_examples"]
    outputs = model(samples["serving_default"])
    expected = outputs if activation else tf.nn.softmax(outputs)
    for name, argument in samples.items():
        signature = loaded.signatures[name]
        (parameter,) = signature.structured_input_signature[1]
        answer = signature(**{parameter: argument})
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5, err_msg=name)
    assert list(loaded.signatures["serving_default"].structured_input_signature[1]) == ["picture"]


@pytest.mark.parametrize(
    "spec",
    [
        ImageSpec((8, 6, 3), "uint16", 0.0, 65535.0),
        ImageSpec((8, 6, 3), "uint16", 0.0, 1000.0),
        ImageSpec((8, 6, 3), "float32", -1.0, 1.0),
        ImageSpec((8, 6, 3), "uint8", 0.0, 1.0),
    ],
    ids=lambda spec: f"{spec.dtype} to {spec.high:g}",
)
def test_examples_are_as_the_training_data_has_them(spec):
    model, serving = images_model(), ImageServing(classifies=True)
    signatures, samples = serving.signatures(model, spec=spec), serving.samples(IMAGES, spec=spec)
    expected = tf.nn.softmax(model(samples["serving_default"]))
    for name, argument in samples.items():
        answer = signatures[name](argument)
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5, err_msg=name)
    # One that was written by hand.
    pixels = np.full((1, 8, 6, 3), spec.high, spec.dtype)
    raw = tf.constant([encode_examples(pixels, np.zeros(1, np.int64)).tobytes()])
    white = tf.nn.softmax(model(tf.ones((1, 8, 6, 3))))
    np.testing.assert_allclose(
        signatures["serving_examples"](raw)["probabilities"], white, atol=1e-5
    )


@pytest.mark.parametrize("case", ["a table", "numbers", "any size"])
def test_any_other_model_takes_its_inputs_alone(case):
    model = images_model()
    if case == "a table":
        model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    if case == "any size":
        x = keras.Input((None, None, 3))
        model = keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    serving = ImageServing(classifies=case != "numbers")
    assert list(serving.signatures(model)) == ["serving_default"]
    assert serving.samples(IMAGES) is None
