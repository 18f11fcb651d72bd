"""Look at what a user's script has left for SageMaker to collect as its model."""

from __future__ import annotations

import os
from pathlib import Path

from trainer.packaging import GRAPH_FILE


def model_warning(folder: Path) -> str | None:
    """Return what is wrong with the model that a script has left, or None.

    AWS's toolkit warns in the same three cases: there is no file, there is no SavedModel, or its
    folder has no number for a name, so that SageMaker's TensorFlow Serving container does not take
    it.

    Args:
        folder: SM_MODEL_DIR.
    """
    files = [Path(at, name) for at, _, names in os.walk(folder) for name in names]
    if not files:
        return f"{folder}: the script has left no model there, so SageMaker uploads none"
    models = [file.parent for file in files if file.name == GRAPH_FILE]
    if not models:
        return (
            f"{folder}: holds {files[0].relative_to(folder)} but no {GRAPH_FILE}, so SageMaker's "
            "TensorFlow endpoints cannot serve it; export a SavedModel to a folder such as 1"
        )
    if not any(model.name.isdecimal() for model in models):
        name = models[0].relative_to(folder)
        return (
            f"{folder}: its SavedModel lies in {name}, which is no number, so SageMaker's "
            "TensorFlow endpoints cannot serve it; export it to a folder such as 1"
        )
    return None
