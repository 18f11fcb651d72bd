"""Checks of single fields of a message from another host.

Whoever reaches the port can send anything: each field has one type and a bound, and what does not
fit is a ValueError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.runtime import printable

# Characters of a host's name, as DNS limits it, and of a process's.
LONGEST_HOST, LONGEST_TASK = 255, 64


def text(value: Any, *, longest: int) -> str:
    """Return a string that is not too long, as one printable line; else raise a ValueError."""
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError("expected a short string")
    return printable(value, longest=longest)


def whole(value: Any, *, low: int, high: int) -> int:
    """Return a whole number within bounds; else raise a ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"expected a whole number from {low} to {high}")
    return value


def boolean(value: Any) -> bool:
    """Return a boolean; else raise a ValueError."""
    if not isinstance(value, bool):
        raise ValueError("expected a boolean")
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object; else raise a ValueError."""
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    return value


def items(value: Any) -> list[Any]:
    """Return a JSON array; else raise a ValueError."""
    if not isinstance(value, list):
        raise ValueError("expected an array")
    return value
