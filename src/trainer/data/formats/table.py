"""Tables of labelled images: the form in which the pipeline reads files of every format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.config import DataError
from trainer.data.formats.picture import Picture

# Records are read, and in streaming shuffled, in runs of this many: large enough that one read
# (about 50 kB for MNIST) costs little, small enough that a shuffle group holds hundreds of runs.
BLOCK_RECORDS = 64

# Records read at a time where a whole table is read.
RUN_RECORDS = 64 * BLOCK_RECORDS

# MNIST's.
IMAGE_SHAPE = (28, 28, 1)
IMAGE_BYTES = 28 * 28
CLASSES = 10

MOST_CLASSES = 65_536
# Images that are read at a time take up to this many bytes, and those of a piece of a stream.
READ_BYTES = 64 << 20
PIECE_BYTES = 256 << 20


@dataclass(frozen=True)
class ImageSpec:
    """The form of the images of a table, and the meaning of their pixels.

    Attributes:
        shape: Height, width and channels.
        dtype: The NumPy type of a pixel as it is read and kept: `uint8`, `uint16` or `float32`.
        low: The pixel value that the model gets as 0.
        high: The pixel value that the model gets as 1.
    """

    shape: tuple[int, int, int] = IMAGE_SHAPE
    dtype: str = "uint8"
    low: float = 0.0
    high: float = 255.0

    @property
    def size(self) -> int:
        """The number of bytes of an image in memory."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def text(self) -> str:
        """The shape for people, such as 28×28×1."""
        return size_text(self.shape)

    def records(self, most: int, *, limit: int = READ_BYTES) -> int:
        """Return how many images to read at a time: a multiple of `BLOCK_RECORDS`.

        Args:
            most: Not more than these.
            limit: The bytes of memory that they may take, but for the least number.
        """
        fitting = limit // self.size // BLOCK_RECORDS * BLOCK_RECORDS
        return max(BLOCK_RECORDS, min(most, fitting))


class Table:
    """Labelled images that can be read in any order of blocks: the base of each format's own.

    Attributes:
        kind: The name of its format in `registry.FORMATS`, or `synthetic`.
        name: The file, or the pair of files, for messages.
        damage: A line for each damaged record that is left out of the count and never read.
        spec: The form of its images; all tables of a split have the same.
        class_names: The names of the classes by label; empty if the files do not tell.
        note: What was inferred from the files about pixels, for the log; empty if nothing was.
        picture_bytes: Where examples are encoded pictures, the memory that `pictures` takes for
            each, on average; else None.
    """

    kind: str
    name: str
    damage: list[str]
    spec: ImageSpec = ImageSpec()
    class_names: tuple[str, ...] = ()
    note: str = ""
    picture_bytes: float | None = None

    def __len__(self) -> int:
        """Return the number of examples that can be read."""
        raise NotImplementedError

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Read examples `start` to `stop`.

        Args:
            start: First example; a multiple of `BLOCK_RECORDS`.
            stop: One past the last; a multiple of `BLOCK_RECORDS` or `len(self)`.

        Returns:
            Images, `spec.dtype` [stop - start, *spec.shape], and labels, int32 [stop - start].

        Raises:
            DataError: A record is damaged, or its image or label is not as expected.
        """
        raise NotImplementedError

    def pictures(self, start: int, stop: int) -> tuple[list[Picture], np.ndarray]:
        """Return examples `start` to `stop` as pictures that are not decoded yet, and their labels.

        Only where `picture_bytes` is a number; arguments, labels and errors are as those of `read`.
        """
        raise NotImplementedError

    def all_labels(self) -> np.ndarray:
        """Return the label of each example: int32 [len(self)].

        A format that knows its labels without reading the images does not read these.

        Raises:
            DataError: As from `read`.
        """
        found = np.empty(len(self), np.int32)
        run = self.spec.records(RUN_RECORDS)
        for start in range(0, len(self), run):
            stop = min(start + run, len(self))
            found[start:stop] = self.read(start, stop)[1]
        return found

    def label_counts(self) -> np.ndarray:
        """Return how many examples have each label: int64 [largest label + 1].

        Raises:
            DataError: As from `read`.
        """
        return np.bincount(self.all_labels()).astype(np.int64)

    def block_starts(self) -> np.ndarray:
        """Return the first example of each block of up to `BLOCK_RECORDS`: int64 [blocks]."""
        return np.arange(0, len(self), BLOCK_RECORDS)

    def record(self, number: int) -> int:
        """Return the number that an example has in the file, for messages."""
        return number

    def source(self, number: int) -> str:
        """Return the name of the file that an example is in, for messages."""
        return self.name


def size_text(shape: Sequence[int]) -> str:
    """Return a shape for people, such as 28×28×1."""
    return "×".join(map(str, shape))


def image_shape(shape: Sequence[int], *, where: str) -> tuple[int, int, int]:
    """Return height, width and channels of images.

    Args:
        shape: Height, width and perhaps channels, as a file has them.
        where: The file, for errors.

    Raises:
        DataError: The shape is none of an image.
    """
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise DataError(
            subject=where,
            problem=f"image size is {size_text(shape)}, expected height×width or "
            "height×width×channels",
        )
    height, width, channels = (*shape, 1)[:3]
    return height, width, channels


def check_labels(labels: np.ndarray, *, where: str, numbers: np.ndarray) -> np.ndarray:
    """Return `labels` as int32.

    Args:
        labels: Integers [n].
        where: The file, for errors.
        numbers: Each record's number in the file, for errors.

    Raises:
        DataError: A label is negative, or larger than any class may be.
    """
    wrong = (labels < 0) | (labels >= MOST_CLASSES)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise wrong_label(int(labels[row]), where=where, number=int(numbers[row]))
    return labels.astype(np.int32, copy=False)


def wrong_label(label: int, *, where: str, number: int, classes: int = MOST_CLASSES) -> DataError:
    """Return the error of a record whose label is not one of so many classes."""
    return DataError(
        subject=where,
        problem=f"record {number}: label {label} is out of range, expected 0 to {classes - 1}",
    )
