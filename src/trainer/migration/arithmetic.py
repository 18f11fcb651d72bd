"""Sums and products of numbers that a script has, within bounds."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from trainer.migration.values import LARGEST

_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
OPERATORS = (*_OPERATORS, ast.Pow)


def calculated(how: ast.operator, left: Any, right: Any) -> Any:
    """Return a sum, product and so on; None where it is too large, or not a number."""
    try:
        if isinstance(how, ast.Pow):
            found = left**right if abs(left) < 1e6 and abs(right) < 64 else None
        else:
            found = _OPERATORS[type(how)](left, right)
    except (ArithmeticError, ValueError):
        return None
    usable = isinstance(found, (int, float)) and abs(found) < LARGEST
    return found if usable else None


def is_plain(value: Any) -> bool:
    """Return whether a constant is a number, or text that a command line can have."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= each <= "\udfff" for each in value)
    if isinstance(value, int):
        return abs(value) < LARGEST
    return value is None or isinstance(value, float)
