"""What goes into `code/` of an artifact, checked as far as can be without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from trainer.config import UserError
from trainer.packaging.contents import files

SCRIPT = "inference.py"


def code_files(folder: Path, *, handlers: bool) -> dict[str, Path]:
    """The files of a code folder, by name.

    Args:
        folder: What `--code` names.
        handlers: Whether it is for SageMaker's TensorFlow container, which wants an inference.py
            with `handler`, or `input_handler` and `output_handler`.

    Raises:
        UserError: It is no folder, is empty, or the container would not start with it.
    """
    if not folder.is_dir():
        raise UserError(
            subject=f"--code {folder}",
            problem="not a folder",
            remedy=f"name the one that has {SCRIPT}",
        )
    found = files(folder)
    if not found:
        raise UserError(
            subject=f"--code {folder}",
            problem="holds no files",
        )
    if not handlers:
        return found
    if SCRIPT not in found:
        raise UserError(
            subject=f"--code {folder}",
            problem=f"has no {SCRIPT}",
            remedy=f"found {', '.join(list(found)[:5])}",
        )
    try:
        names = set(_names(ast.parse(found[SCRIPT].read_bytes())))
    except (SyntaxError, ValueError) as error:
        raise UserError(
            subject=f"--code {folder}",
            problem=f"{SCRIPT}: {error}",
        ) from None
    except OSError as error:
        raise UserError(
            subject=f"--code {folder}",
            problem=f"{SCRIPT}: {error.strerror}",
        ) from None
    # What a star brings is known only once it runs.
    both = {"input_handler", "output_handler"}
    if not names & {"handler", "*"} and not both <= names:
        raise UserError(
            subject=f"--code {folder}",
            problem=f"{SCRIPT} has no function handler, nor input_handler and output_handler",
        )
    return found


def _names(tree: ast.AST) -> Iterator[str]:
    """What a module defines or imports, at its top or under an `if`, `try` or `with` there."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
            yield from _names(node)
