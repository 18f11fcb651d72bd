import zipfile

import keras
import numpy as np
import pytest

from trainer.config import Hparams, Job, UserError
from trainer.models import has_own_reader, loader, source_files
from trainer.training.loop import train_and_evaluate

pytestmark = pytest.mark.tensorflow
layers = keras.layers


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
    return tmp_path


def saved(path, loss: object = None) -> keras.Model:
    model = keras.Sequential([keras.Input((28, 28)), layers.Flatten(), layers.Dense(10)])
    if loss:
        model.compile(loss=loss)
    model.save(path)
    return model


def test_a_saved_model_trains_on_from_its_weights(here):
    saved("net.keras")
    hparams = Hparams(batch_size=32, learning_rate=0.01, precision="float32")
    job = Job(module="net.keras", steps=30, model_dir="first/model", hparams=hparams)
    first = train_and_evaluate(job)
    assert first["test_accuracy"] > 0.5
    assert first["parameters"] == 7850
    (here / "first").rename("done")


def test_the_model_has_the_weights_of_the_file():
    model = saved("net.keras")
    loaded = loader.load("net.keras").keras_model(Hparams())
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("loss", "task"),
    [
        (None, "classification"),
        ("sparse_categorical_crossentropy", "classification"),
        ("mse", "regression"),
        (keras.losses.Huber(), "regression"),
        (keras.losses.mean_squared_error, "regression"),
    ],
)
def test_the_loss_that_it_was_compiled_with_says_what_it_is_for(loss, task):
    saved("net.keras", loss)
    assert loader.load("net.keras").task == task


def test_hosts_compare_the_file_and_the_built_in_readers_read(here):
    saved("net.keras")
    assert source_files("net.keras") == {"net.keras": here / "net.keras"}
    assert not has_own_reader(Job(module="net.keras"))


def test_what_is_no_saved_model_is_one_line(here):
    (here / "text.keras").write_text("no archive")
    with zipfile.ZipFile("empty.keras", "w") as archive:
        archive.writestr("other", "")
    (here / "exported").mkdir()
    (here / "exported/saved_model.pb").write_bytes(b"")
    for name, expected in (
        ("text.keras", "is no model that Keras has saved: File is not a zip file"),
        ("empty.keras", "is no model that Keras has saved"),
        ("none.keras", "there is no such file"),
        ("./exported", "a SavedModel has no layers; save the model as model.save"),
        ("old.h5", "save the model as model.save('model.keras')"),
    ):
        with pytest.raises(UserError, match="--module ") as error:
            loader.load(name)
        assert expected in str(error.value)


def test_code_in_the_file_is_not_run(here):
    inputs = keras.Input((2,))
    keras.Model(inputs, layers.Lambda(lambda x: x * 2)(inputs)).save("code.keras")
    with pytest.raises(UserError, match="cannot be loaded by Keras") as error:
        loader.load("code.keras").keras_model(Hparams())
    assert "write a module with keras_model" in str(error.value)


def test_a_class_that_the_file_does_not_hold_is_named(here):
    class Own(layers.Layer):
        def call(self, x):
            return x

    inputs = keras.Input((2,))
    keras.Model(inputs, layers.Dense(2)(Own()(inputs))).save("own.keras")
    with pytest.raises(UserError, match="it needs the class or function Own, which the file does"):
        loader.load("own.keras").keras_model(Hparams())
