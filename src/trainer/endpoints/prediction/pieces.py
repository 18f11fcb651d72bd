"""Pieces of input files: the rows that travel in one request."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from trainer.config import DataError
from trainer.endpoints.prediction.pixel_scale import PixelScale

JSON, JSON_LINES = "application/json", "application/jsonlines"
CSV, NPY = "text/csv", "application/x-npy"
PNG, JPEG = "image/png", "image/jpeg"
# The header of an array of NumPy has a multiple of 64 bytes, seldom more than two of them.
_NPY_HEADER = 256


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The rows of one file that are sent in one request.

    Attributes:
        source: The file, as answers name it.
        numbers: The numbers of the rows in the file, from 0.
        media_type: Of the body.
        body: As it is sent.
    """

    source: str
    numbers: tuple[int, ...]
    media_type: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class PieceLimits:
    """Limits of one request.

    Attributes:
        rows: Most rows.
        size: Most bytes of the body.
    """

    rows: int
    size: int

    def check(self, size: int, *, source: str, row: int) -> None:
        """Raise a DataError if one row alone is too large."""
        if size > self.size:
            raise DataError(
                subject=source,
                problem=f"row {row} has {size / 1e6:.1f} MB, and this endpoint takes "
                f"{self.size / 1e6:.1f} MB in a request",
            )


# Returns whether the row of some number needs no answer.
Skip = Callable[[int], bool]
# Opens a file anew, at its begin.
Open = Callable[[], IO[bytes]]


def image_piece(source: str, data: bytes, limits: PieceLimits, skip: Skip) -> Iterator[Piece]:
    """Yield the piece that is one image; others than PNG and JPEG become PNG files."""
    if skip(0):
        return
    media_type = media_type_of_image(data)
    if media_type is None:
        media_type, data = PNG, _as_png(data, source)
    limits.check(len(data), source=source, row=0)
    yield Piece(source=source, numbers=(0,), media_type=media_type, body=data)


def media_type_of_image(head: bytes) -> str | None:
    """Return the media type of a PNG or JPEG file, by its first bytes."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    return JPEG if head.startswith(b"\xff\xd8\xff") else None


def _as_png(data: bytes, source: str) -> bytes:
    from PIL import Image, UnidentifiedImageError

    made = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.save(made, "PNG")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise DataError(subject=source, problem="no image that can be read") from None
    return made.getvalue()


def line_pieces(
    source: str, lines: Iterable[bytes], media_type: str, limits: PieceLimits, skip: Skip
) -> Iterator[Piece]:
    """Yield pieces of text with a row a line; empty lines are no rows."""
    numbers: list[int] = []
    held: list[bytes] = []
    size = number = 0
    for line_number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line:
            continue
        if media_type == JSON_LINES:
            _check_json(line, source, line_number)
        row, number = number, number + 1
        if skip(row):
            continue
        limits.check(len(line) + 1, source=source, row=row)
        if numbers and (len(numbers) == limits.rows or size + len(line) + 1 > limits.size):
            yield _lines(source, numbers, media_type, held)
            numbers, held, size = [], [], 0
        numbers.append(row)
        held.append(line)
        size += len(line) + 1
    if numbers:
        yield _lines(source, numbers, media_type, held)


def _lines(source: str, numbers: list[int], media_type: str, lines: list[bytes]) -> Piece:
    body = b"".join(line + b"\n" for line in lines)
    return Piece(source=source, numbers=tuple(numbers), media_type=media_type, body=body)


def _check_json(line: bytes, source: str, number: int) -> None:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(subject=source, problem=f"line {number} is no JSON") from None


def json_lines_of(source: str, data: bytes) -> list[bytes]:
    """Return the rows of a JSON document: its `instances`, its elements, or itself.

    Raises:
        DataError: It is no JSON.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        # JSON lines are often called .json, too.
        return data.splitlines()
    rows = document.get("instances", document) if isinstance(document, dict) else document
    found: list[Any] = rows if isinstance(rows, list) else [rows]
    return [json.dumps(row, separators=(",", ":")).encode() for row in found]


def npy_pieces(
    source: str,
    file: Path | bytes,
    limits: PieceLimits,
    skip: Skip,
    scale: PixelScale | None = None,
) -> Iterator[Piece]:
    """Yield pieces of an array, whose first dimension are the rows.

    Raises:
        DataError: It is no array, or one of Python's objects.
    """
    import numpy as np

    try:
        if isinstance(file, bytes):
            array = np.load(io.BytesIO(file), allow_pickle=False)
        else:
            array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        raise DataError(
            subject=source, problem="no array of NumPy, a damaged one, or one of objects"
        ) from None
    if not isinstance(array, np.ndarray) or array.ndim == 0:
        raise DataError(subject=source, problem="expected one array, with the rows first")
    if scale and array.dtype.kind not in "biuf":
        raise DataError(subject=source, problem=f"is of {array.dtype}, expected numbers")
    scaled = scale.array if scale else np.asarray
    each = int(scaled(array[:1]).nbytes)
    limits.check(each + _NPY_HEADER, source=source, row=0)
    most = max(1, min(limits.rows, (limits.size - _NPY_HEADER) // max(each, 1)))
    wanted = [number for number in range(len(array)) if not skip(number)]
    for start in range(0, len(wanted), most):
        numbers = wanted[start : start + most]
        body = io.BytesIO()
        np.save(body, scaled(array[numbers]), allow_pickle=False)
        yield Piece(source=source, numbers=tuple(numbers), media_type=NPY, body=body.getvalue())
