"""Make a SavedModel of a `.keras` file, and try to load one, both with TensorFlow."""

from __future__ import annotations

import re
from pathlib import Path

from trainer.config import UserError
from trainer.models import loader
from trainer.packaging.contents import printable
from trainer.runtime import import_tensorflow, typed_message
from trainer.storage import plain_names


def convert_keras(file: Path, folder: Path, *, module: str | None, name: str) -> None:
    """Make a SavedModel of a `.keras` file.

    Args:
        file: A file that `model.save` wrote. Code in it, such as a lambda's, is not run.
        folder: The folder for the SavedModel.
        module: A model module, for its signatures and its own layers; None for the signatures that
            Keras gives any model: `serving_default` and `serve`, from the model's inputs.
        name: The file's name for errors.

    Raises:
        UserError: The file is damaged, needs code that is not there, or cannot be exported.
    """
    if file.suffix != ".keras":
        raise UserError(
            subject=name,
            problem="a Keras model",
            remedy=f"rename it to {file.stem}.keras",
        )
    import_tensorflow()
    import keras

    own = loader.load(module) if module else None
    try:
        model = keras.models.load_model(file, compile=False)
    except Exception as error:
        # Keras passes on any exception of a layer.
        missing = re.search(r"Could not locate (?:class|function) '(.*?)'", str(error))
        if missing:
            raise UserError(
                subject=name,
                problem=f"it needs {printable(missing[1])}, which Keras has not",
                remedy="name the module that registers it by --module",
            ) from None
        raise UserError(
            subject=name,
            problem=f"cannot be loaded by Keras {keras.__version__}: {typed_message(error)}",
        ) from None
    try:
        if own is None:
            model.export(str(folder), format="tf_saved_model", verbose=False)
        else:
            from trainer.packaging.save import save_model

            save_model(model, folder, signatures=own.serving_input_fn(model))
    except Exception as error:
        raise UserError(
            subject=name,
            problem=f"cannot be exported: {typed_message(error)}",
        ) from None


def check_loads(folder: Path, *, name: str) -> None:
    """Raise a UserError unless TensorFlow loads a SavedModel with all of its variables."""
    tf = import_tensorflow()
    try:
        tf.saved_model.load(str(plain_names.without_wildcards(folder)))
    except Exception as error:
        raise UserError(
            subject=name,
            problem=f"cannot be loaded by TensorFlow {tf.__version__}: {typed_message(error)}",
        ) from None
