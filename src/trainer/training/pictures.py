"""Examples as small pictures, for the report of a run."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data import Stream
from trainer.training.run_data import SplitData

# Pixels of the longer side of a picture.
MOST_PIXELS = 64
# Pictures of the training data.
SAMPLES = 12


@dataclass(frozen=True, kw_only=True)
class ShownExample:
    """An example as a picture, and the model's answer to it.

    Attributes:
        pixels: uint8 [height, width, 1 or 3].
        label: Its class.
        predicted: The class that the model found; None if it was not asked.
        confidence: The probability of that.
        loss: Cross-entropy.
        example: Number in its file, or in the data where no file is known.
        file: Name of the file, or empty.
    """

    pixels: np.ndarray
    label: int
    predicted: int | None = None
    confidence: float | None = None
    loss: float | None = None
    example: int | None = None
    file: str = ""

    def as_json(self, class_names: Sequence[str] = ()) -> dict[str, Any]:
        """Return it as `pictures.json` has it.

        Args:
            class_names: The names of the classes by label; numbers where they have none.
        """
        found = None if self.predicted is None else class_name(self.predicted, class_names)
        png = tf.io.encode_png(self.pixels).numpy()
        return {
            "png": base64.b64encode(png).decode(),
            "true": class_name(self.label, class_names),
            "predicted": found,
            "confidence": self.confidence,
            "loss": self.loss,
            "example": self.example,
            "file": self.file or None,
        }


def class_name(label: int, names: Sequence[str]) -> str:
    """Return the name of a class, which is its number if it has no other."""
    return names[label] if 0 <= label < len(names) else str(label)


@dataclass(frozen=True, kw_only=True)
class ExampleName:
    """The file of an example, empty if unknown, and its number there."""

    file: str
    number: int


class Naming:
    """Names the examples of one process's test data.

    Args:
        test: The data.
    """

    def __init__(self, test: SplitData) -> None:
        self._stream = test.stream if isinstance(test.stream, Stream) else None

    def names(self, positions: Sequence[int]) -> list[ExampleName]:
        """Return the names of the examples that come at some positions of a pass."""
        if self._stream is None:
            return [ExampleName(file="", number=position) for position in positions]
        found = self._stream.places(positions)
        return [ExampleName(file=_short(file), number=number) for file, number in found]


def picture_size(features: Any) -> tuple[int, int, int] | None:
    """Return height, width and channels of a picture of features; None if they are no images.

    Args:
        features: The spec of a batch.
    """
    shape = getattr(features, "shape", None)
    if shape is None or shape.rank != 4 or shape[-1] not in (1, 3) or None in shape[1:]:
        return None
    height, width, channels = shape[1:]
    scale = min(1.0, MOST_PIXELS / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale)), channels


def thumbnail(features: Any, size: tuple[int, int, int]) -> np.ndarray:
    """Return uint8 pixels of so many rows, columns and channels; black without an image."""
    if features is None:
        return np.zeros(size, np.uint8)
    pixels = np.nan_to_num(np.asarray(features, np.float32))
    if pixels.shape != size:
        pixels = tf.image.resize(pixels, size[:2], method="area").numpy()
    low, high = float(pixels.min()), float(pixels.max())
    if features.dtype != np.uint8:
        if low < 0 or high > 255:
            # Standardised: from the darkest to the brightest.
            pixels = (pixels - low) * (255 / max(high - low, 1e-6))
        elif high <= 1:
            pixels = pixels * 255
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8).reshape(size)


def sample_pictures(train: SplitData, other: SplitData) -> list[ShownExample]:
    """Return some examples from all over the training data in memory; else the first of others."""
    size = picture_size(other.dataset.element_spec[0])
    if size is None:
        return []
    memory = train.stream.memory if isinstance(train.stream, Stream) else None
    if memory is None:
        features, labels = (np.asarray(part)[:SAMPLES] for part in next(iter(other.dataset))[:2])
    else:
        rows = np.linspace(0, len(memory[1]) - 1, min(SAMPLES, len(memory[1]))).astype(int)
        features, labels = memory[0][rows], memory[1][rows]
    return [
        ShownExample(pixels=thumbnail(features[row], size), label=int(labels[row]))
        for row in range(len(labels))
    ]


def _short(name: str) -> str:
    """Return the name of a table's first file without its folders."""
    return Path(name.split(" with ")[0]).name
