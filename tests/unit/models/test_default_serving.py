import keras
import numpy as np
import pytest
import tensorflow as tf

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
