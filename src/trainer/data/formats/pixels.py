"""The meaning of stored pixels: which values become 0 and 1, by type and a sample's range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainer.config import DataError
from trainer.data.formats.image_layout import ImageLayout, image_layout
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.formats.registry import join_words
from trainer.data.formats.resize import resize_images
from trainer.data.formats.table import ImageSpec

# Examples looked at to infer a range, from all over a file.
SAMPLE_RECORDS = 256
# The ranges of floats in use; the first that a sample fits into is taken.
FLOAT_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
# Interpolation leaves values a little outside of a range: this part of its width is let pass.
MARGIN = 0.01


@dataclass(frozen=True)
class PixelForm:
    """The way from stored values to images.

    Attributes:
        spec: The form of the images.
        layout: The place of the pixels among the stored values.
        limits: The lowest and the highest value that may be stored.
        note: What was inferred from shape, type and range, for the log; empty if nothing was.
    """

    spec: ImageSpec
    layout: ImageLayout
    limits: tuple[float, float]
    note: str = ""

    def images(self, rows: np.ndarray, *, where: str, first: int = 0) -> np.ndarray:
        """Return stored examples as images.

        Args:
            rows: Of the stored type, [n, *layout.stored] or [n, values].
            where: The file, for errors.
            first: The number of the first record, for errors.

        Returns:
            `spec.dtype` [n, *spec.shape].

        Raises:
            DataError: A pixel is no number, or outside of the range.
        """
        if rows.dtype != self.spec.dtype or rows.dtype.kind == "f":
            self._check(rows, where=where, first=first)
        images = np.ascontiguousarray(self.layout.arrange(rows), self.spec.dtype)
        return resize_images(images, self.spec.shape[:2])

    def _check(self, rows: np.ndarray, *, where: str, first: int) -> None:
        """Raise a DataError naming the first record that has a pixel beyond the limits."""
        low, high = self.limits
        # A minimum is NaN where a value is; so are comparisons with it.
        if not rows.size or (float(rows.min()) >= low and float(rows.max()) <= high):
            return
        flat = rows.reshape(len(rows), -1).astype(np.float64)
        wrong = ~((flat >= low) & (flat <= high))
        record = int(np.argmax(wrong.any(axis=1)))
        value = flat[record][wrong[record]][0]
        if not math.isfinite(value):
            raise DataError(
                subject=where,
                problem=f"record {first + record}: a pixel is {value}, expected a number",
            )
        raise DataError(
            subject=where,
            problem=f"record {first + record}: a pixel is {shown_value(value)}, expected "
            f"{shown_value(self.spec.low)} to {shown_value(self.spec.high)}",
            remedy="give --pixel-range LOW,HIGH",
        )


def pixel_form(
    stored: tuple[int, ...],
    dtype: np.dtype,
    sample: np.ndarray,
    *,
    where: str,
    options: ReadOptions = DEFAULTS,
) -> PixelForm:
    """Infer the form of images from what is stored.

    Args:
        stored: The shape of an example: H×W, H×W×C, C×H×W or a row of values.
        dtype: The type of the values: integers, floats or booleans.
        sample: Values of some examples, or their extremes, in any shape; see `sampled_blocks`.
        where: The file, for errors.
        options: A pixel range and an image size, which come before what is inferred.

    Raises:
        DataError: No images are stored so, or their range is none in use.
    """
    layout = image_layout(stored, where=where, image_size=options.image_size)
    if dtype.kind not in "iufb":
        raise DataError(
            subject=where,
            problem=f"images are {dtype}, expected integers, floats or booleans",
        )
    low, high = _extremes(sample, where=where)
    kind, limits = _kept_as(dtype, low, high)
    if options.pixel_range:
        span = options.pixel_range
        note = ""
    else:
        span, note = _range_of(dtype, kind, low, high, where=where)
    if kind == "float32":
        margin = MARGIN * (span[1] - span[0])
        most = float(np.finfo(np.float32).max)
        limits = (-most, most) if options.pixel_range else (span[0] - margin, span[1] + margin)
    height, width = options.image_size or layout.shape[:2]
    return PixelForm(
        ImageSpec((height, width, layout.shape[2]), kind, *span),
        layout,
        limits,
        "; ".join(filter(None, (layout.note, note))),
    )


def sampled_blocks(count: int, *, block: int = SAMPLE_RECORDS // 4) -> list[tuple[int, int]]:
    """Return where some runs of records from all over a file start and end.

    Args:
        count: The records of the file.
        block: The size of a run; each starts at a multiple of it.
    """
    blocks = -(-count // block)
    picked = sorted({round(i * (blocks - 1) / 3) for i in range(4)}) if blocks else []
    return [(i * block, min(count, (i + 1) * block)) for i in picked]


def shown_value(value: float) -> str:
    """Return a pixel value for messages: whole ones without a point."""
    return f"{float(value):.6g}"


def _extremes(sample: np.ndarray, *, where: str) -> tuple[float, float]:
    """Return the lowest and the highest number in a sample; 0 and 0 if it is empty."""
    if not sample.size:
        return 0.0, 0.0
    low, high = float(sample.min()), float(sample.max())
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    # The record with the odd value is named when it is read.
    finite = sample[np.isfinite(sample)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _kept_as(dtype: np.dtype, low: float, high: float) -> tuple[str, tuple[float, float]]:
    """Return the type that pixels are kept in, and the values that it holds."""
    if dtype.kind == "b":
        return "uint8", (0, 1)
    if dtype.kind == "f" or low < 0 or high > 65535:
        return "float32", (0, 0)
    if dtype != np.uint8 and high > 255:
        return "uint16", (0, 65535)
    return "uint8", (0, 255)


def _range_of(
    dtype: np.dtype, kind: str, low: float, high: float, *, where: str
) -> tuple[tuple[float, float], str]:
    """Return the values that become 0 and 1, and the line that says so."""
    if dtype.kind == "b":
        return (0.0, 1.0), "pixels are booleans: read as 0 and 1"
    if dtype == np.uint8:
        hint = (
            "pixels are uint8 0 and 1, taken as nearly black; give --pixel-range 0,1 if 1 is white"
        )
        return (0.0, 255.0), hint if high == 1 else ""
    if kind != "float32":
        span = (0.0, 255.0) if kind == "uint8" else (0.0, 65535.0)
    else:
        fitting = (
            (a, b)
            for a, b in FLOAT_RANGES
            if dtype.kind == "f" and low >= a - MARGIN * (b - a) and high <= b + MARGIN * (b - a)
        )
        found = next(fitting, None)
        if found is None:
            ranges = FLOAT_RANGES if dtype.kind == "f" else ((0, 255), (0, 65535))
            raise DataError(
                subject=where,
                problem=f"pixels are {dtype} from {shown_value(low)} to {shown_value(high)}, "
                f"expected {join_words([f'{a:.0f} to {b:.0f}' for a, b in ranges], 'or')}",
                remedy=f"give --pixel-range {shown_value(low)},{shown_value(high)}",
            )
        span = found
    low, high = span
    return span, (
        f"pixels are {dtype}, taken as from {shown_value(low)} to {shown_value(high)} "
        "(else give --pixel-range LOW,HIGH)"
    )
