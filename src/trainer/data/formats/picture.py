"""Pictures that are decoded when they are needed, in whatever order that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from trainer.data.formats.pictures import decode_all


class Picture(NamedTuple):
    """An encoded picture of a table.

    Attributes:
        fetch: Returns its bytes by its number; it may be called in any thread.
        name: Returns what it is called in errors by its number.
        number: Its number for these two.
        is_resized: True to resize it if its size is another, False to refuse it.
    """

    fetch: Callable[[int], bytes]
    name: Callable[[int], str]
    number: int
    is_resized: bool


def decode_pictures(pictures: Sequence[Picture], images: np.ndarray) -> None:
    """Decode pictures of one form into memory: uint8 [n, height, width, channels].

    Raises:
        DataError: One cannot be used.
    """
    if not pictures:
        return
    decode_all(
        lambda place: pictures[place].fetch(pictures[place].number),
        images.shape[1:],
        len(pictures),
        resize=pictures[0].is_resized,
        name=lambda place: pictures[place].name(pictures[place].number),
        images=images,
    )
