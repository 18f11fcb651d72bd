"""Check the code that goes into an artifact, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from trainer.config import UserError
from trainer.packaging.contents import files_below

SCRIPT = "inference.py"


def code_files(folder: Path, *, handlers: bool) -> dict[str, Path]:
    """Return the files of a code folder, by name.

    Args:
        folder: The folder that `--code` names.
        handlers: True for SageMaker's TensorFlow container, which wants an inference.py with
            `handler`, or `input_handler` and `output_handler`.

    Raises:
        UserError: It is no folder, is empty, or the container would not start with it.
    """
    if not folder.is_dir():
        raise UserError(
            subject=f"--code {folder}",
            problem="not a folder",
            remedy=f"name the one that has {SCRIPT}",
        )
    found = files_below(folder)
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
    # The names that a star imports are known only once the module runs.
    both = {"input_handler", "output_handler"}
    if not names & {"handler", "*"} and not both <= names:
        raise UserError(
            subject=f"--code {folder}",
            problem=f"{SCRIPT} has no function handler, nor input_handler and output_handler",
        )
    return found


def _names(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module defines at its top level, also under `if`, `try` or `with`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
            yield from _names(node)
