"""Write a SavedModel."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import tensorflow as tf


def save_model(
    model: keras.Model, folder: Path, *, signatures: dict, device: str | None = None
) -> None:
    """Write a SavedModel with these signatures, from a device whose files are this machine's."""
    holder = tf.Module()
    # TensorFlow saves only the variables that the saved object refers to.
    holder.model = model
    options = tf.saved_model.SaveOptions(experimental_io_device=device)
    tf.saved_model.save(holder, str(folder), signatures=signatures, options=options)
    # TensorFlow makes this folder even if there are no assets.
    if not any((folder / "assets").glob("*")):
        shutil.rmtree(folder / "assets", ignore_errors=True)
