"""Loading of model modules: the built-in one, or a user's own with the same three functions."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from trainer.config import Job, UserError
from trainer.models import recipes
from trainer.runtime import log

FUNCTIONS = ("keras_model", "input_fn", "serving_input_fn")


def load(name: str) -> ModuleType:
    """Import a model module.

    Args:
        name: As in an import statement; the current folder is searched, too.

    Raises:
        UserError: There is no such module, or one of its three functions is missing.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise UserError(
                subject=f"--module {name}",
                problem=f"no module named {error.name} in {here} or on PYTHONPATH",
            ) from None
        raise UserError(
            subject=f"--module {name}",
            problem=f"it imports {error.name}, which is missing",
        ) from None
    except SyntaxError as error:
        raise UserError(
            subject=f"--module {name}",
            problem=str(error),
        ) from None
    log.enable()
    missing = [f for f in FUNCTIONS if not callable(getattr(module, f, None))]
    if missing:
        raise UserError(
            subject=f"--module {name}",
            problem=f"{module.__file__} has no function {missing[0]}; "
            f"expected {', '.join(FUNCTIONS)}",
        )
    if name != Job.module and hasattr(module, "RECIPE"):
        recipes.check_imported(module.RECIPE, name=name)
    return module


def call_with_known(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a function with its arguments and with those options that it has a parameter for.

    A user's `input_fn` runs without parameters for `seed` or `cache_mb`.
    """
    takes = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in takes.values()):
        return function(*args, **options)
    return function(*args, **{k: v for k, v in options.items() if k in takes})
