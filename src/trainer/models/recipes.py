"""Recipes: the hyperparameters that a model is trained with unless a flag says otherwise.

A built-in model and a module of the user's own state theirs in the same way, with a literal at the
top of the file:

    RECIPE = {"batch_size": 32, "learning_rate": 0.01, "steps": 1500}

What it leaves out has the neutral value of `NEUTRAL`. The launcher and `trainer doctor` need
recipes, but must not import the file, which imports TensorFlow: `RECIPE` is read from the source.

How those of the built-in models were found, and what else was tried, is in docs/performance.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trainer.config import Hparams, Job, UserError, option_types, options_of, suggestion
from trainer.models import module_hparams
from trainer.models.literals import not_literal, read_literal
from trainer.models.module_source import module_file
from trainer.models.registry import MODELS

# Keras' own defaults: nothing that was tuned for another model.
NEUTRAL: Mapping[str, Any] = MappingProxyType(
    {
        "batch_size": 32,
        "optimizer": "adam",
        "learning_rate": 0.001,
        "schedule": "constant",
        "warmup": 0.0,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "epochs": 1.0,
    }
)
FIELDS = (*NEUTRAL, "steps")
_KINDS = {int: "an integer", float: "a number", str: "a text"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The hyperparameters of a model, and which of them its author stated.

    Attributes:
        name: Of the built-in model or of the module.
        stated: What its `RECIPE` holds.
    """

    name: str
    stated: Mapping[str, Any]

    def values(self) -> dict[str, Any]:
        """Return a value for each field of `NEUTRAL`; `steps` in place of `epochs` if stated."""
        values = {**NEUTRAL, **self.stated}
        if "steps" in self.stated:
            del values["epochs"]
        return values

    def source(self, field: str) -> str:
        """Return where the value of a field comes from, for people."""
        return f"recipe {self.name}" if field in self.stated else "neutral default"


def recipe_of(job: Job) -> Recipe:
    """Return the recipe of the job's model: of its own module, or else of the built-in model.

    Raises:
        UserError: The module's `RECIPE` is not as it should be.
    """
    own = job.module != Job.module
    name = job.module if own else job.hparams.model
    file = module_file(job.module if own else MODELS.module(name))
    return Recipe(name=name, stated=_read(file, name) if file else {})


def complete(job: Job, *, precision: str) -> Job:
    """Fill in what the job leaves open.

    Args:
        job: With None where nothing was asked for.
        precision: What the device computes fastest with.

    Returns:
        A job whose hyperparameters are all set, and which has either `steps` or `epochs`.

    Raises:
        UserError: The `RECIPE` of the user's module is not as it should be.
    """
    values = recipe_of(job).values() | {"precision": precision}
    length = {name: values.pop(name) for name in ("steps", "epochs") if name in values}
    missing = {k: v for k, v in values.items() if getattr(job.hparams, k) is None}
    hparams = dataclasses.replace(job.hparams, **missing)
    hparams = module_hparams.completed(hparams, job.module)
    if job.steps is None and job.epochs is None:
        job = dataclasses.replace(job, **length)
    return dataclasses.replace(job, hparams=hparams)


def neutral_values_note(job: Job) -> str | None:
    """Return a line for the log that says what a module's own recipe leaves to neutral defaults.

    Args:
        job: Before `complete`.
    """
    if job.module == Job.module:
        return None
    recipe, length = recipe_of(job), job.steps is not None or job.epochs is not None
    neutral = [
        f"{name}={value}"
        for name, value in recipe.values().items()
        if name not in recipe.stated
        and (not length if name == "epochs" else getattr(job.hparams, name) is None)
    ]
    stated = f"RECIPE sets {', '.join(recipe.stated)}" if recipe.stated else "no RECIPE"
    return f"--module {job.module}: {stated}; neutral defaults: {' '.join(neutral) or 'none'}"


def _read(file: Path, name: str) -> dict[str, Any]:
    """Return what the literal `RECIPE` at the top level of a file holds.

    Raises:
        UserError: It is no literal, or has a key or value that is not allowed.
    """
    stated = read_literal(file, "RECIPE", name)
    _check(stated, name=name)
    return stated


def check_imported(stated: Any, *, name: str) -> None:
    """Check that a module's `RECIPE` is the one that was read from its source.

    Raises:
        UserError: The module imports it from elsewhere, or makes it as it runs.
    """
    if stated != recipe_of(Job(module=name)).stated:
        raise not_literal("RECIPE", name)


def _check(stated: Any, *, name: str) -> None:
    """Check what a `RECIPE` holds.

    Raises:
        UserError: A hyperparameter is not known, or out of the range that its flag has.
    """
    for key, value in stated.items():
        if key not in FIELDS:
            raise UserError(
                subject=f"RECIPE of {name}",
                problem=f"{key} is not known{suggestion(str(key), FIELDS)}",
                remedy=f"expected some of {', '.join(FIELDS)}",
            )
        part: type = Hparams if key in options_of(Hparams) else Job
        kind = option_types(part)[key]
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise UserError(
                subject=f"RECIPE of {name}",
                problem=f"{key}: expected {_KINDS[kind]}, found {value!r}",
            )
        options_of(part)[key].check(f"RECIPE of {name}: {key}", value)
    if {"steps", "epochs"} <= stated.keys():
        raise UserError(
            subject=f"RECIPE of {name}", problem="has both steps and epochs", remedy="leave one out"
        )
