"""Shapes that mean the same as the wanted one: flat rows, dimensions of size 1 more or less."""

from __future__ import annotations

import math
from collections.abc import Sequence

Wanted = tuple[int | None, ...]


def read_as(given: tuple[int, ...], wanted: Wanted) -> tuple[int, ...] | None:
    """Return the shape in which values are read where another shape is wanted.

    Args:
        given: The shape of the values.
        wanted: None for a dimension of any size.

    Returns:
        A shape that fits the wanted one; None where the values cannot be read so, or in more than
        one way: 3×32×32 values are not 32×32×3, though their number is the same.
    """
    if 0 in given:
        return None
    if None not in wanted:
        sizes = tuple(size for size in wanted if size is not None)
        return sizes if _same_order(_larger(given), _larger(sizes)) else None
    # Dimensions of size 1 can be added and left out without changing the order of values.
    for core in (given, tuple(size for size in given if size != 1)):
        filled = _filled(core, wanted)
        if filled is not None:
            return filled
    return None


def spellings(row: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes in which people send rows of a shape: that, without 1s, and flat."""
    size = math.prod(row)
    return list(dict.fromkeys([row, _larger(row), (size,) if size > 1 else ()]))


def _filled(core: tuple[int, ...], wanted: Wanted) -> tuple[int, ...] | None:
    """Return the sizes with a 1 where 1 is wanted; None if they do not fit there."""
    if len(core) == len(wanted):
        row: tuple[int, ...] = core
    elif len(core) == sum(size != 1 for size in wanted):
        left = iter(core)
        row = tuple(1 if size == 1 else next(left) for size in wanted)
    else:
        return None
    fits = all(size in (None, number) for number, size in zip(row, wanted, strict=True))
    return row if fits else None


def _same_order(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Return whether one shape is the other with neighbouring dimensions merged."""
    return _joins(a, b) or _joins(b, a)


def _joins(fine: Sequence[int], coarse: Sequence[int]) -> bool:
    left = list(fine)
    for size in coarse:
        product = 1
        while product < size and left:
            product *= left.pop(0)
        if product != size:
            return False
    return not left


def _larger(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
