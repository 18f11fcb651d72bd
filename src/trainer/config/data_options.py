"""Values of the options that tell how data is read: `--image-size 32,32`, `--feature image=img`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from trainer.config.errors import UserError

# Images of more pixels a side are no images to train on.
MOST_PIXELS = 16_384
MOST_CLASSES = 65_536


def image_size(text: str, *, flag: str = "--image-size") -> tuple[int, int]:
    """Return the height and the width of `HEIGHT,WIDTH`.

    Raises:
        UserError: It is not two whole numbers from 1 to `MOST_PIXELS`.
    """
    match = re.fullmatch(r"([0-9]{1,5})\s*[,x×]\s*([0-9]{1,5})", text.strip())
    height, width = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (1 <= height <= MOST_PIXELS and 1 <= width <= MOST_PIXELS):
        raise UserError(
            subject=f"{flag} {text}",
            problem=f"expected HEIGHT,WIDTH, two numbers from 1 to {MOST_PIXELS}, such as 32,32",
        )
    return height, width


def pixel_range(text: str, *, flag: str = "--pixel-range") -> tuple[float, float]:
    """Return the numbers of `LOW,HIGH`.

    Raises:
        UserError: It is not two numbers, the smaller one first.
    """
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise UserError(
            subject=f"{flag} {text}",
            problem="expected LOW,HIGH, the pixel values that become 0 and 1, such as 0,255",
        )
    return low, high


def feature_names(items: Iterable[str], *, flag: str = "--feature") -> tuple[tuple[str, str], ...]:
    """Return the pairs of `NAME=NAME`, of which an item may hold several, with commas between.

    Raises:
        UserError: An item is something else, or a name is given twice.
    """
    found: dict[str, str] = {}
    for item in items:
        for part in item.split(","):
            name, _, there = (word.strip() for word in part.partition("="))
            if not name or not there or name in found:
                raise UserError(
                    subject=f"{flag} {item}",
                    problem="expected NAME=NAME, each name once, such as image=img_bytes",
                )
            found[name] = there
    return tuple(found.items())


def class_count(text: str, *, flag: str = "--classes") -> int | None:
    """Return the number of classes that a value of `--classes` is; None if it names a file.

    Raises:
        UserError: It is a number, but not from 2 to `MOST_CLASSES`.
    """
    if not re.fullmatch(r"[-+]?[0-9]+", text.strip()):
        return None
    if len(text) > 9 or not 2 <= int(text) <= MOST_CLASSES:
        raise UserError(
            subject=f"{flag} {text}",
            problem=f"expected a number of 2 to {MOST_CLASSES}, or a file of names",
        )
    return int(text)
