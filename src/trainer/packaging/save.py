"""Write a SavedModel."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
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
    with _saving_quietly():
        tf.saved_model.save(holder, str(folder), signatures=signatures, options=options)
    # TensorFlow makes this folder even if there are no assets.
    if not any((folder / "assets").glob("*")):
        shutil.rmtree(folder / "assets", ignore_errors=True)


@contextlib.contextmanager
def _saving_quietly() -> Iterator[None]:
    """Keep TensorFlow from naming the folder, which is a temporary one, as it does in notebooks."""
    logger = tf.get_logger()
    before = logger.level
    logger.setLevel(max(before, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(before)
