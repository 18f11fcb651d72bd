"""A SavedModel as an MLflow model; without TensorFlow."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from made_models import graph, saved_model

from trainer.config import UserError
from trainer.training.mlflow_model import example_of, write_mlflow_model

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def model(folder, *signatures, **fields):
    return saved_model(folder, graph(*signatures, **fields))


@pytest.mark.parametrize(
    ("module", "features"),
    [
        (SimpleNamespace(), ROWS),
        (SimpleNamespace(), {"inputs": ROWS}),
        (SimpleNamespace(serving_samples=lambda rows: {"serving_default": rows, "b": 3}), ROWS),
        (
            SimpleNamespace(serving_samples=lambda rows: {"serving_default": {"inputs": rows}}),
            ROWS,
        ),
    ],
)
def test_the_example_is_the_first_row(tmp_path, module, features):
    example = example_of(module, features, model(tmp_path / "model", "serving_default"))
    assert example is not None
    assert example.keys() == {"inputs"}
    np.testing.assert_array_equal(example["inputs"], ROWS[:1])


@pytest.mark.parametrize(
    ("module", "features"),
    [
        (SimpleNamespace(), {"other": ROWS}),
        (SimpleNamespace(), None),
        (SimpleNamespace(serving_samples=lambda rows: {"scores": rows}), ROWS),
    ],
)
def test_what_does_not_fit_the_signature_is_no_example(tmp_path, module, features):
    assert example_of(module, features, model(tmp_path / "model", "serving_default")) is None


def written(tmp_path, path, example=None) -> dict:
    folder = tmp_path / "out"
    folder.mkdir()
    write_mlflow_model(folder, path, run_id="r1", mlflow="3.0.0", example=example)
    return {
        name: json.loads((folder / name).read_bytes())
        for name in ("MLmodel", "python_env.yaml", "input_example.json")
        if (folder / name).exists()
    }


def test_the_model_is_copied_and_described(tmp_path):
    path = model(tmp_path / "model", "serving_default", "scores")
    files = written(tmp_path, path, {"inputs": ROWS[:1]})
    described = files["MLmodel"]
    assert (described["run_id"], described["mlflow_version"]) == ("r1", "3.0.0")
    (taken,) = json.loads(described["signature"]["inputs"])
    (given,) = json.loads(described["signature"]["outputs"])
    assert (taken["name"], taken["tensor-spec"]) == (
        "inputs", {"dtype": "float32", "shape": [-1, 4]},
    )  # fmt: skip
    assert (given["name"], given["tensor-spec"]) == ("classes", {"dtype": "int64", "shape": [-1]})
    assert files["input_example.json"] == {"inputs": {"inputs": [[0.0, 1.0, 2.0, 3.0]]}}
    copied = tmp_path / "out" / described["flavors"]["tensorflow"]["saved_model_dir"]
    assert (copied / "saved_model.pb").read_bytes() == (path / "saved_model.pb").read_bytes()
    requirements = (tmp_path / "out/requirements.txt").read_text().splitlines()
    assert requirements[0] == "mlflow==3.0.0"
    assert requirements[1].startswith("tensorflow==")


def test_text_is_no_example_for_json(tmp_path):
    example = {"inputs": np.array([b"text"])}
    files = written(tmp_path, model(tmp_path / "model", "serving_default"), example)
    assert "input_example.json" not in files
    assert "saved_input_example_info" not in files["MLmodel"]


def test_a_tensor_of_unknown_shape_has_no_description(tmp_path):
    files = written(tmp_path, model(tmp_path / "model", "serving_default", shape=None))
    assert files["MLmodel"]["signature"]["inputs"] is None
    assert files["MLmodel"]["signature"]["outputs"] is not None


def test_a_model_without_a_default_signature_is_a_mistake(tmp_path):
    path = model(tmp_path / "model", "scores")
    with pytest.raises(UserError, match="it has no signature serving_default"):
        written(tmp_path, path)
