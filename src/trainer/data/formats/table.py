"""Tables of labelled images: the form in which the pipeline reads files of every format."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from trainer.config import DataError

# Records are read, and in streaming shuffled, in runs of this many: large enough that one read
# (about 50 kB for MNIST) costs little, small enough that a shuffle group holds hundreds of runs.
BLOCK_RECORDS = 64

IMAGE_SHAPE = (28, 28, 1)
IMAGE_BYTES = 28 * 28
CLASSES = 10


class Table(Protocol):
    """Labelled images that can be read in any order of blocks.

    Attributes:
        kind: The name of its format in `registry.FORMATS`, or `synthetic`.
        name: The file, or the pair of files, for messages.
        damage: A line for each damaged record that is left out of the count and never read.
    """

    kind: str
    name: str
    damage: list[str]

    def __len__(self) -> int:
        """Return the number of examples that can be read."""

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Read examples `start` to `stop`.

        Args:
            start: First example; a multiple of `BLOCK`.
            stop: One past the last; a multiple of `BLOCK` or `len(self)`.

        Returns:
            Images, uint8 [stop - start, 28, 28, 1], and labels, uint8 [stop - start].

        Raises:
            DataError: A record is damaged, or its image or label is not as expected.
        """


def check_image_shape(shape: tuple[int, ...], *, where: str) -> None:
    """Raise a DataError unless `shape` is 28×28 or 28×28×1."""
    if tuple(shape) not in (IMAGE_SHAPE, IMAGE_SHAPE[:2]):
        size = "×".join(map(str, shape))
        raise DataError(
            subject=where,
            problem=f"image size is {size}, expected 28×28×1",
        )


def check_labels(labels: np.ndarray, *, where: str, numbers: np.ndarray) -> np.ndarray:
    """Return `labels` as uint8.

    Args:
        labels: Integers [n].
        where: The file, for errors.
        numbers: Each record's number in the file, for errors.

    Raises:
        DataError: A label is not one of the ten classes.
    """
    wrong = (labels < 0) | (labels >= CLASSES)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            subject=where,
            problem=f"record {numbers[row]}: label {int(labels[row])} is out of range, "
            f"expected 0 to {CLASSES - 1}",
        )
    return labels.astype(np.uint8, copy=False)
