"""A `.keras` file as a module: its model is trained further, from the weights that it has."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from trainer.config import Hparams, UserError
from trainer.models.model_module import ModelModule
from trainer.models.module_source import find_module
from trainer.models.user_function import describe

# Keras' message when a file needs a class or function of the user's.
_MISSING = re.compile(r"Could not locate (?:class|function) '([^']+)'")
# Losses that `model.compile` may have had for numbers, as their names are in the file.
_OF_NUMBERS = {
    *("mse", "mean_squared_error", "MeanSquaredError"),
    *("mae", "mean_absolute_error", "MeanAbsoluteError"),
    *("huber", "Huber", "log_cosh", "LogCosh"),
}


def load_keras_file(name: str) -> ModelModule:
    """Return the module that a `.keras` file stands for.

    The built-in readers read its data. It is a regression if it was compiled with a loss of
    numbers; its own optimizer and loss are not used.

    Args:
        name: The path, as `--module` has it.

    Raises:
        UserError: There is no such file, or it is damaged.
    """
    # Imported late, as they import TensorFlow.
    from trainer.models import default_serving, mnist

    place = find_module(name)
    if place is None:
        raise _mistake(name, "there is no such file", "save the model as model.save('model.keras')")
    task = "regression" if _compiled_loss(place.origin, name) in _OF_NUMBERS else "classification"
    file = place.origin

    def keras_model(hparams: Hparams) -> Any:
        return _load(file, name)

    serving = default_serving.ImageServing(classifies=task == "classification")
    return ModelModule(
        name=name,
        is_builtin=False,
        keras_model=keras_model,
        input_fn=mnist.input_fn,
        serving_input_fn=serving.signatures,
        serving_samples=serving.samples,
        task=task,
        serves_images=True,
    )


def _load(file: Path, name: str) -> Any:
    import keras

    try:
        # Code in the file, as of a lambda, is not run.
        return keras.models.load_model(file, compile=False, safe_mode=True)
    except Exception as error:
        raise _mistake(
            name,
            f"cannot be loaded by Keras {keras.__version__}: {_reason(error)}",
            "write a module with keras_model(hparams) that loads it, beside the code that it needs",
        ) from error


def _reason(error: Exception) -> str:
    """Return what is wrong, for which Keras gives the configuration of the whole model first."""
    missing = _MISSING.search(str(error))
    if missing is None:
        return describe(error)
    return f"it needs the class or function {missing[1]}, which the file does not hold"


def _compiled_loss(file: Path, name: str) -> str | None:
    """Return the name of the loss that a model was compiled with; None if it was not."""
    try:
        with zipfile.ZipFile(file) as archive:
            config = json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise _mistake(
            name, f"is no model that Keras has saved: {error}", "save it as model.save('m.keras')"
        ) from None
    compiled = config.get("compile_config") if isinstance(config, dict) else None
    loss = compiled.get("loss") if isinstance(compiled, dict) else None
    if isinstance(loss, dict):
        inner = loss.get("config")
        # A function is stored with its name as its configuration.
        loss = inner if isinstance(inner, str) else loss.get("class_name")
    return loss if isinstance(loss, str) else None


def _mistake(name: str, problem: str, remedy: str) -> UserError:
    return UserError(subject=f"--module {name}", problem=problem, remedy=remedy)
