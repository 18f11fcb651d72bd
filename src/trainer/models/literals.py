"""Literals at the top of a module, read from its source without importing it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from trainer.config import UserError

EXAMPLES = {
    "RECIPE": 'RECIPE = {"batch_size": 32}',
    "HPARAMS": 'HPARAMS = {"units": {"default": 64, "low": 1}}',
}


def read_literal(file: Path, variable: str, module: str) -> dict[str, Any]:
    """Return the dict that a file assigns to a variable at its top level; empty if it does not.

    Raises:
        UserError: It is no dict of literals.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        # Importing it will say what is wrong with it.
        return {}
    stated: Any = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        named = any(isinstance(each, ast.Name) and each.id == variable for each in targets)
        value = getattr(node, "value", None)
        if named and value is not None:
            try:
                stated = ast.literal_eval(value)
            except (ValueError, TypeError):
                stated = None
    if not isinstance(stated, dict):
        raise not_literal(variable, module)
    return dict(stated)


def not_literal(variable: str, module: str) -> UserError:
    """Return the error of a variable that is no dict of literals."""
    return UserError(
        subject=f"{variable} of {module}",
        problem="expected a dict of literal values in the module itself, which is read without "
        "importing it",
        remedy=f"write it out, as {EXAMPLES[variable]}",
    )
