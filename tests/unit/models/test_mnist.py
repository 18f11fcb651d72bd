import gzip

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config.errors import UserError
from trainer.config.hparams import Hparams
from trainer.data.formats import example
from trainer.data.shard import Shard
from trainer.models import mnist as models

pytestmark = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")


def build(name: str) -> keras.Model:
    return models.keras_model(Hparams(model=name, dropout=0.4))


@pytest.mark.parametrize(
    ("name", "parameters"), [("cnn", 315_146), ("fast", 138_938), ("sagemaker-cnn", 3_274_634)]
)
def test_each_model_has_its_parameters_and_shapes(name, parameters):
    model = build(name)
    assert model.count_params() == parameters
    assert model.input.name == "image_input"
    assert model.input_shape == (None, 28, 28, 1)
    assert model(np.zeros((3, 28, 28, 1), np.float32)).shape == (3, 10)


def test_the_default_model_is_the_migration_examples_layer_by_layer():
    shapes = [layer.output.shape[1:] for layer in build("cnn").layers]
    assert shapes == [
        (28, 28, 1), (28, 28, 32), (13, 13, 32), (13, 13, 64), (6, 6, 64), (2304,), (128,), (128,),
        (10,),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "smallest"), [("cnn", 5), ("fast", 11), ("sagemaker-cnn", 4)])
def test_a_model_has_the_shape_and_classes_of_the_data(name, smallest):
    for shape in ((32, 40, 3), (smallest, smallest, 1)):
        hparams = Hparams(model=name, dropout=0.4, input_shape=shape, classes=26)
        model = models.keras_model(hparams)
        assert model.input_shape == (None, *shape)
        assert model(np.zeros((2, *shape), np.float32)).shape == (2, 26)
    hparams = Hparams(model=name, dropout=0.4, input_shape=(smallest - 1, 40, 3), classes=26)
    with pytest.raises(
        UserError, match=rf"--model {name}: images of {smallest - 1}×40 are too sma"
    ):
        models.keras_model(hparams)


def test_the_edges_of_a_grey_picture_are_those_of_the_same_in_colour():
    images = np.random.default_rng(0).random((4, 32, 32, 1), np.float32)
    found = []
    for channels in (1, 3):
        model = models.keras_model(
            Hparams(model="fast", dropout=0.0, input_shape=(32, 32, channels), classes=5)
        )
        edges = keras.Model(model.input, model.get_layer("edges").output)
        found.append(edges(images.repeat(channels, axis=3)).numpy())
    np.testing.assert_allclose(*found, atol=1e-5)


@pytest.mark.parametrize(("channels", "has_pictures"), [(1, True), (2, False), (3, True)])
def test_the_signatures_take_images_of_the_models_form(channels, has_pictures):
    shape = (9, 14, channels)
    model = models.keras_model(Hparams(model="cnn", dropout=0.0, input_shape=shape, classes=3))
    signatures = models.serving_input_fn(model)
    assert ("serving_bytes" in signatures) == has_pictures
    features = tf.constant(np.random.default_rng(0).random((5, *shape), np.float32))
    samples = models.serving_samples(features)
    assert samples.keys() == signatures.keys()
    found = [signatures[name](samples[name])["probabilities"] for name in samples]
    assert all(one.shape == (5, 3) for one in found)
    for one in found[1:]:
        np.testing.assert_allclose(one, found[0], atol=1e-5)


def test_outputs_are_float32_whatever_the_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert build("fast")(np.zeros((1, 28, 28, 1), np.float32)).dtype == tf.float32


def test_the_signatures_agree_on_one_image(mnist_dir):
    signatures = models.serving_input_fn(build("cnn"))
    raw = gzip.decompress((mnist_dir / "t10k-images-idx3-ubyte.gz").read_bytes())[16 : 16 + 3 * 784]
    images = np.frombuffer(raw, np.uint8).reshape(3, 28, 28, 1)
    direct = signatures["serving_default"](tf.constant(images / 255, tf.float32))
    pictures = tf.constant([tf.io.encode_png(image).numpy() for image in images])
    examples = tf.constant(
        [row.tobytes() for row in example.encode_examples(images, np.zeros(3, int))]
    )
    for name, argument in [("serving_bytes", pictures), ("serving_examples", examples)]:
        answer = signatures[name](argument)
        np.testing.assert_allclose(answer["probabilities"], direct["probabilities"], atol=1e-5)
        np.testing.assert_array_equal(answer["classes"], direct["classes"])
    np.testing.assert_allclose(tf.reduce_sum(direct["probabilities"], axis=1), 1, atol=1e-5)


def test_pictures_of_any_size_and_jpeg_are_taken():
    signatures = models.serving_input_fn(build("cnn"))
    big = np.full((100, 60, 3), 200, np.uint8)
    pictures = tf.constant([tf.io.encode_jpeg(big).numpy(), tf.io.encode_png(big).numpy()])
    assert signatures["serving_bytes"](pictures)["probabilities"].shape == (2, 10)


def test_input_fn_gives_what_the_model_takes(tfrecords):
    data = models.input_fn([str(tfrecords)], "train", 32, Shard(), seed=1)
    images, labels = next(iter(data))
    assert (images.shape, images.dtype) == ((32, 28, 28, 1), tf.float32)
    assert (labels.shape, labels.dtype) == ((32,), tf.int32)
    assert float(tf.reduce_max(images)) == 1.0
    assert data.stream.size == 60_000


def test_input_fn_without_paths_is_synthetic():
    data = models.input_fn([], "test", 500, Shard())
    assert data.stream.kind == "synthetic"
    assert sum(int(labels.shape[0]) for _, labels in data) == data.stream.size
