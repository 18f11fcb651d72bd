"""A contact sheet: one picture of some examples of each class of a data set."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from trainer.config import DataError
from trainer.data.formats.table import BLOCK_RECORDS, ImageSpec, Table

if TYPE_CHECKING:
    from PIL import Image

# Classes shown, and examples of each.
ROWS, COLUMNS = 20, 10
# Pixels of a cell, between cells, and of the names to the left.
CELL, GAP, NAMES = 64, 4, 120
# Blocks looked at, spread over the data: classes may lie one after the other.
MOST_BLOCKS = 400


def contact_sheet(tables: Sequence[Table], class_names: Sequence[str] = ()) -> bytes:
    """Return a PNG of some examples of each class, a row a class.

    Args:
        tables: One split of a data set; damaged records are passed over.
        class_names: The names of the labels; by default their numbers.
    """
    from PIL import Image as PillowImage, ImageDraw

    found = _examples(tables)
    labels = sorted(found)[:ROWS]
    pitch = CELL + GAP
    size = (NAMES + COLUMNS * pitch + GAP, max(1, len(labels)) * pitch + GAP)
    sheet = PillowImage.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for row, label in enumerate(labels):
        top = GAP + row * pitch
        name = class_names[label] if label < len(class_names) else str(label)
        draw.text((GAP, top + CELL // 2), _shortened(name), fill="black", anchor="lm")
        for column, (spec, image) in enumerate(found[label]):
            sheet.paste(_picture(spec, image), (NAMES + column * pitch, top))
    data = io.BytesIO()
    sheet.save(data, "PNG", optimize=True)
    return data.getvalue()


def _examples(tables: Sequence[Table]) -> dict[int, list[tuple[ImageSpec, np.ndarray]]]:
    """Return the first examples of each label, from blocks all over the data."""
    found: dict[int, list[tuple[ImageSpec, np.ndarray]]] = {}
    for table, start in _blocks(tables):
        try:
            images, labels = table.read(start, min(start + BLOCK_RECORDS, len(table)))
        except DataError:
            continue
        for image, label in zip(images, labels.tolist(), strict=True):
            row = found.setdefault(label, [])
            if len(row) < COLUMNS:
                row.append((table.spec, image.copy()))
    return found


def _blocks(tables: Sequence[Table]) -> Iterator[tuple[Table, int]]:
    """Yield tables, and where some of their blocks begin."""
    blocks = [(table, at) for table in tables for at in range(0, len(table), BLOCK_RECORDS)]
    yield from blocks[:: -(-len(blocks) // MOST_BLOCKS)] if blocks else []


def _picture(spec: ImageSpec, image: np.ndarray) -> Image.Image:
    """Return an image as Pillow's, as large as a cell, without changing its proportions."""
    from PIL import Image as PillowImage

    share = (image.astype(np.float64) - spec.low) / (spec.high - spec.low)
    pixels = (share.clip(0, 1) * 255).round().astype(np.uint8)
    picture = PillowImage.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels[..., :3])
    height, width = pixels.shape[:2]
    scale = CELL / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Small images are shown pixel by pixel.
    way = PillowImage.Resampling.NEAREST if scale > 1 else PillowImage.Resampling.BILINEAR
    return picture.resize(size, way)


def _shortened(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"
