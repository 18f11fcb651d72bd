import json
import zipfile

import pytest
from made_models import keras_file

from trainer.config.errors import UserError
from trainer.packaging.contents import read_contents
from trainer.packaging.keras_file import read


def written(path, config: object, metadata: object = None):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps(metadata or {}))
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
    return read_contents(path)


def test_name_version_and_inputs_are_read(tmp_path):
    model = read(read_contents(keras_file(tmp_path / "a.keras")))
    assert (model.name, model.keras) == ("net", "3.15.1")
    assert [str(tensor) for tensor in model.inputs] == ["rows float32 [?, 4]"]


def test_a_dtype_may_be_a_policy(tmp_path):
    policy = {"class_name": "DTypePolicy", "config": {"name": "mixed_bfloat16"}}
    layer = {"name": "x", "batch_shape": [8, None], "dtype": policy}
    layers = [{"class_name": "InputLayer", "config": layer}]
    model = read(written(tmp_path / "a.keras", {"config": {"layers": layers}}))
    assert [str(tensor) for tensor in model.inputs] == ["x mixed_bfloat16 [8, ?]"]


def test_a_model_without_input_layers_tells_none(tmp_path):
    assert read(written(tmp_path / "a.keras", {"config": {}})).inputs == ()


@pytest.mark.parametrize(
    "config",
    ["{", [], {}, {"config": []}, {"config": {"layers": [{"class_name": "InputLayer"}]}}],
)
def test_a_damaged_configuration_is_an_error_of_one_line(tmp_path, config):
    with pytest.raises(UserError, match="damaged: its configuration is not that of Keras"):
        read(written(tmp_path / "a.keras", config))
