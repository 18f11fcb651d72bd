"""Real `.keras` files as SavedModels, and SavedModels that are none."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_models import saved_model

from trainer.config import UserError
from trainer.packaging.convert import check_loads, convert_keras

pytestmark = pytest.mark.tensorflow

OWN = """
import keras, tensorflow as tf

@keras.saving.register_keras_serializable("own_layers")
class Double(keras.layers.Layer):
    def call(self, inputs):
        return 2.0 * inputs

def keras_model(hparams):
    inputs = keras.Input((2,), name="numbers")
    return keras.Model(inputs, Double()(inputs))

def input_fn(paths, mode, batch_size, shard):
    raise NotImplementedError

def serving_input_fn(model):
    @tf.function(input_signature=[tf.TensorSpec((None, 2), name="numbers")])
    def serving_default(numbers):
        return {"doubles": model(numbers)}
    return {"serving_default": serving_default}
"""
ROWS = np.array([[1.0, 2.0]], np.float32)


def convert(file, tmp_path, module: str | None = None):
    """The function that a converted file answers by."""
    folder = tmp_path / "model"
    convert_keras(file, folder, module=module, name=f"--source {file.name}")
    check_loads(folder, name="model")
    loaded = tf.saved_model.load(str(folder))
    return loaded.signatures["serving_default"]


def problem(file, tmp_path, module: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        convert(file, tmp_path, module)
    assert str(caught.value).startswith(f"--source {file.name}: ")
    return str(caught.value)


def test_a_model_of_kerass_own_layers_answers_as_it_did(tmp_path):
    inputs = keras.Input((2,), name="numbers")
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    model.save(tmp_path / "net.keras")
    answer = convert(tmp_path / "net.keras", tmp_path)(numbers=ROWS)
    (found,) = answer.values()
    np.testing.assert_allclose(found, model(ROWS), atol=1e-6)


def test_a_model_of_ones_own_layers_needs_its_module(tmp_path, monkeypatch):
    (tmp_path / "own_layers.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "net.keras"
    import own_layers

    own_layers.keras_model(None).save(file)
    keras.saving.get_custom_objects().pop("own_layers>Double")
    line = problem(file, tmp_path)
    assert line.endswith("which Keras has not; name the module that registers it by --module")
    keras.saving.get_custom_objects()["own_layers>Double"] = own_layers.Double
    answer = convert(file, tmp_path, module="own_layers")(numbers=ROWS)
    np.testing.assert_array_equal(answer["doubles"], 2 * ROWS)


def test_what_is_no_keras_file_is_a_line(tmp_path):
    (tmp_path / "net.keras").write_bytes(b"no archive")
    assert "cannot be loaded by Keras " in problem(tmp_path / "net.keras", tmp_path)
    assert problem(tmp_path / "net.h5", tmp_path).endswith("a Keras model; rename it to net.keras")
    assert not (tmp_path / "model").exists()


def test_a_model_that_was_never_called_cannot_be_exported(tmp_path):
    keras.Sequential([keras.layers.Dense(3)]).save(tmp_path / "net.keras")
    assert "cannot be exported: " in problem(tmp_path / "net.keras", tmp_path)


def test_a_graph_without_operations_does_not_load(tmp_path):
    with pytest.raises(UserError, match=r"^model: cannot be loaded by TensorFlow 2.*: KeyError: "):
        check_loads(saved_model(tmp_path / "model"), name="model")
