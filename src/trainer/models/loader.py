"""Loading of model modules: the built-in one, or a user's own, by name or by path."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from trainer.config import Job, UserError, suggestion
from trainer.models import keras_file, module_hparams, recipes
from trainer.models.model_module import PARAMETERS, TASKS, ModelModule
from trainer.models.module_source import find_module, is_keras_file, is_path
from trainer.models.user_function import UserFunction, describe, place_of
from trainer.runtime import log


def load(name: str) -> ModelModule:
    """Import a model module.

    Args:
        name: As in an import statement, or the path of a file, a package or a `.keras` file; the
            current folder is searched, too.

    Raises:
        UserError: There is no such module, it cannot be imported, has no `keras_model`, or
            something of another kind where a function is expected.
    """
    if is_keras_file(name):
        return keras_file.load_keras_file(name)
    module = _imported(name)
    log.enable()
    if name == Job.module:
        own = {key: getattr(module, key, None) for key in PARAMETERS}
        functions = {key: function for key, function in own.items() if function}
        return ModelModule(name=name, is_builtin=True, serves_images=True, **functions)
    if hasattr(module, "RECIPE"):
        recipes.check_imported(module.RECIPE, name=name)
    if hasattr(module, "HPARAMS"):
        module_hparams.check_imported(module.HPARAMS, name)
    return _users_module(module, name)


def call_with_known(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a function with its arguments and with those options that it has a parameter for.

    A user's `input_fn` runs without parameters for `seed` or `cache_mb`.
    """
    takes = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in takes.values()):
        return function(*args, **options)
    return function(*args, **{k: v for k, v in options.items() if k in takes})


def _users_module(module: ModuleType, name: str) -> ModelModule:
    """Return the functions of a user's module, with defaults for those that it leaves out."""
    # Imported late, as they import TensorFlow.
    from trainer.models import default_serving, default_signatures, mnist

    functions: dict[str, Any] = {}
    for key, parameters in PARAMETERS.items():
        found = getattr(module, key, None)
        if found is None:
            continue
        if not callable(found):
            raise UserError(
                subject=f"{key} of {name}",
                problem=f"is {found!r}"[:120],
                remedy=f"write it as a function: def {key}({', '.join(parameters)})",
            )
        functions[key] = UserFunction(found, name=key, module=name, parameters=parameters)
    if "keras_model" not in functions:
        meant = suggestion("keras_model", [key for key in vars(module) if key[0] != "_"])
        raise UserError(
            subject=f"--module {name}",
            problem=f"{module.__file__} has no function keras_model{meant}",
            remedy="write one: def keras_model(hparams), which returns a Keras model",
        )
    task = getattr(module, "TASK", None)
    if task is not None and task not in TASKS:
        raise UserError(
            subject=f"TASK of {name}", problem=f"is {task!r}, expected {' or '.join(TASKS)}"
        )
    for key in ("keras_model", "optimizer"):
        if key in functions:
            functions[key] = module_hparams.passed_on(functions[key], name)
    reads_data = "input_fn" in functions
    functions.setdefault("input_fn", mnist.input_fn)
    serves_images = False
    if "serving_input_fn" not in functions:
        classifies = task != "regression" and "loss_fn" not in functions
        functions["serving_input_fn"] = functools.partial(
            default_signatures.signatures_of, classifies=classifies
        )
        if not reads_data:
            serving = default_serving.ImageServing(classifies=classifies)
            functions["serving_input_fn"] = serving.signatures
            serves_images = "serving_samples" not in functions
            functions.setdefault("serving_samples", serving.samples)
    return ModelModule(
        name=name, is_builtin=False, task=task, reads_data=reads_data, serves_images=serves_images,
        **functions,
    )  # fmt: skip


def _imported(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        if is_path(name):
            return _by_path(name)
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not is_path(name) and error.name and f"{name}.".startswith(f"{error.name}."):
            if Path(name).is_file():
                raise UserError(
                    subject=f"--module {name}",
                    problem="only Python files and .keras files can be trained",
                    remedy="name one that ends with .py or .keras",
                ) from None
            raise UserError(
                subject=f"--module {name}",
                problem=f"no module named {error.name} in {here} or on PYTHONPATH",
            ) from None
        raise UserError(
            subject=f"--module {name}",
            problem=f"it imports {error.name}, which is missing{place_of(error)}",
        ) from None
    except SyntaxError as error:
        raise UserError(
            subject=f"--module {name}",
            problem=str(error),
        ) from None
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        remedy = 'do so below if __name__ == "__main__"' if isinstance(error, SystemExit) else None
        raise UserError(
            subject=f"--module {name}",
            problem=f"it cannot be imported: {describe(error)}",
            remedy=remedy,
        ) from error


def _by_path(name: str) -> ModuleType:
    """Import the file or package at a path, and let it import what lies beside it."""
    place = find_module(name)
    if place is None and (name.endswith(".h5") or Path(name, "saved_model.pb").is_file()):
        raise UserError(
            subject=f"--module {name}",
            problem="only Python files and .keras files can be trained: a SavedModel has no layers",
            remedy="save the model as model.save('model.keras')",
        )
    if place is None:
        raise UserError(
            subject=f"--module {name}",
            problem="there is no such Python file, nor a package with an __init__.py",
            remedy=f"give a path from {Path.cwd()}, or from a folder on PYTHONPATH",
        )
    if str(place.root) not in sys.path:
        sys.path.append(str(place.root))
    base = place.root.joinpath(*place.name.split("."))
    file = base / "__init__.py" if base.is_dir() else base.with_name(base.name + ".py")
    found = importlib.util.find_spec(place.name.partition(".")[0])
    if found and found.origin and Path(found.origin).is_relative_to(place.root):
        return importlib.import_module(place.name)
    if place.name.count(".") and not (place.root / place.name.partition(".")[0]).is_dir():
        raise UserError(
            subject=f"--module {name}",
            problem="a file whose name has a dot cannot be imported",
            remedy="rename it",
        )
    if "." in place.name or file.name == "__init__.py":
        raise UserError(
            subject=f"--module {name}",
            problem=f"its package has the name of another, {found.origin if found else None}",
            remedy="rename the folder",
        )
    return _under_another_name(place.name, file)


def _under_another_name(name: str, file: Path) -> ModuleType:
    """Import a file whose name is that of an installed module, which others may need."""
    name = f"{name}_of_user"
    there = sys.modules.get(name)
    if there is not None and getattr(there, "__file__", None) == str(file):
        return there
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
