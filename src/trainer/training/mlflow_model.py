"""An exported SavedModel as an MLflow model, which `mlflow models serve` answers from.

The folder's format is https://mlflow.org/docs/latest/ml/model/. MLflow's own writers need pandas,
and save a Keras model anew. This one copies the SavedModel that was compared with the trained
model, and names the flavour for models that are called by a signature.
"""

from __future__ import annotations

import datetime
import json
import platform
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import UserError
from trainer.models import ModelModule
from trainer.packaging import DEFAULT_SIGNATURE, GRAPH_FILE, saved_model
from trainer.runtime import installed_version

# Its name among a run's files: `mlflow models serve -m runs:/ID/model`.
NAME = "model"
_SAVED_MODEL, _EXAMPLE, _SERVED_EXAMPLE = (
    "saved_model", "input_example.json", "serving_input_example.json",
)  # fmt: skip
_REQUIREMENTS, _ENVIRONMENT = "requirements.txt", "python_env.yaml"

Example = Mapping[str, np.ndarray]


def example_of(module: ModelModule, features: Any, path: Path) -> Example | None:
    """Return one example for the default signature of a model, or None if it is not known.

    Args:
        module: The model module.
        features: Some test examples, as the model takes them.
        path: The SavedModel.
    """
    samples = getattr(module, "serving_samples", None)
    arguments = samples(features) if samples else None
    given = features if arguments is None else arguments.get(DEFAULT_SIGNATURE)
    names = [each.name for each in _signature(path).inputs]
    if not isinstance(given, Mapping):
        given = {names[0]: given} if len(names) == 1 and given is not None else {}
    if given.keys() != {*names}:
        return None
    return {name: np.asarray(value[:1]) for name, value in given.items()}


def write_mlflow_model(
    folder: Path, path: Path, *, run_id: str, mlflow: str, example: Example | None
) -> None:
    """Write an MLflow model.

    Args:
        folder: An empty folder to write to.
        path: The SavedModel that it gets a copy of.
        run_id: The run that it is of.
        mlflow: The version of MLflow.
        example: One example for the default signature.

    Raises:
        UserError: The model has no default signature.
    """
    shutil.copytree(path, folder / _SAVED_MODEL)
    described = _description(_signature(path), run_id=run_id, mlflow=mlflow)
    if example is not None and all(value.dtype.kind in "biuf" for value in example.values()):
        inputs = {"inputs": {name: value.tolist() for name, value in example.items()}}
        for name in (_EXAMPLE, _SERVED_EXAMPLE):
            (folder / name).write_text(json.dumps(inputs))
        described["saved_input_example_info"] = {
            "artifact_path": _EXAMPLE, "serving_input_path": _SERVED_EXAMPLE, "type": "ndarray",
            "format": "tf-serving",
        }  # fmt: skip
    # JSON is YAML, too.
    (folder / "MLmodel").write_text(json.dumps(described, indent=2) + "\n")
    packages = [
        f"mlflow=={mlflow}",
        f"tensorflow=={installed_version('tensorflow-cpu', 'tensorflow')}",
    ]
    (folder / _REQUIREMENTS).write_text("\n".join(packages) + "\n")
    environment = {
        "python": platform.python_version(),
        "build_dependencies": ["pip"],
        "dependencies": [f"-r {_REQUIREMENTS}"],
    }
    (folder / _ENVIRONMENT).write_text(json.dumps(environment, indent=2) + "\n")


def _signature(path: Path) -> saved_model.SignatureDef:
    file = path / GRAPH_FILE
    with file.open("rb") as opened:
        graph = saved_model.read(opened, file.stat().st_size, name=str(file))
    for each in graph.signatures:
        if each.name == DEFAULT_SIGNATURE:
            return each
    raise UserError(subject=str(file), problem=f"it has no signature {DEFAULT_SIGNATURE}")


def _description(
    signature: saved_model.SignatureDef, *, run_id: str, mlflow: str
) -> dict[str, Any]:
    """Return the contents of the file `MLmodel`."""
    return {
        "artifact_path": NAME,
        "flavors": {
            "python_function": {
                "loader_module": "mlflow.tensorflow",
                "python_version": platform.python_version(),
                "env": {"virtualenv": _ENVIRONMENT},
            },
            "tensorflow": {
                # The one whose loader calls a signature; the format is that of TensorFlow 2, too.
                "model_type": "tf1-estimator",
                "saved_model_dir": _SAVED_MODEL,
                "meta_graph_tags": [saved_model.SERVE],
                "signature_def_key": DEFAULT_SIGNATURE,
                "code": None,
            },
        },
        "mlflow_version": mlflow,
        "model_uuid": uuid.uuid4().hex,
        "run_id": run_id,
        "signature": {
            "inputs": _tensors(signature.inputs),
            "outputs": _tensors(signature.outputs),
            "params": None,
        },
        "utc_time_created": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


def _tensors(tensors: tuple[saved_model.TensorInfo, ...]) -> str | None:
    """Return tensors as MLflow's signatures have them; None if one cannot be described."""
    described = []
    for each in tensors:
        dtype = "object" if each.dtype == "string" else each.dtype
        if each.shape is None or dtype not in (*np.sctypeDict, "object"):
            return None
        shape = [-1 if size is None else size for size in each.shape]
        spec = {"dtype": dtype, "shape": shape}
        described.append({"name": each.name, "type": "tensor", "tensor-spec": spec})
    return json.dumps(described)
