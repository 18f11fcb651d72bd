"""The digits that a page's files are made of: the first of MNIST's."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

FILES = Path(os.environ["DOCS_FILES"])
IMAGES, LABELS = 16, 8


def digits(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels [n, 28, 28] and labels of the first examples of a split."""
    name = {"train": "train", "test": "t10k"}[split]
    images = (FILES / f"mnist/{name}-images-idx3-ubyte").read_bytes()[IMAGES:]
    labels = (FILES / f"mnist/{name}-labels-idx1-ubyte").read_bytes()[LABELS:]
    shape = (-1, 28, 28)
    return np.frombuffer(images, "u1").reshape(shape)[:count], np.frombuffer(labels, "u1")[:count]


def colours(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as pictures of 32 by 32 in three colours."""
    pixels, labels = digits(split, count)
    grey = np.pad(pixels, ((0, 0), (2, 2), (2, 2)))
    return np.repeat(grey[..., None], 3, axis=-1), labels
