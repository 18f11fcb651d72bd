"""Names and sources of expressions, as messages and variables of a shell have them."""

from __future__ import annotations

import ast

from trainer.migration.values import Unknown

# The longest source that a note shows of an expression.
_SHOWN = 80


def source_of(node: ast.AST) -> str:
    """Return the source of an expression, on one line and not too long."""
    try:
        text = " ".join(ast.unparse(node).split())
    except (ValueError, RecursionError):
        text = type(node).__name__
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def unknown(node: ast.expr, name: str = "") -> Unknown:
    """Return what stands for the value of an expression."""
    return Unknown(name=name or _name_of(node), source=source_of(node), line=node.lineno)


def _name_of(node: ast.expr) -> str:
    """Return the name that an expression would have in a sentence."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        key = node.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            return key.value
        return _name_of(node.value)
    return _name_of(node.func) if isinstance(node, ast.Call) else ""
