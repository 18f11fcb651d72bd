"""The hyperparameters of a module's own: names, types, defaults and ranges, in a literal.

    HPARAMS = {
        "units": {"default": 64, "low": 1, "high": 4096, "help": "width of the hidden layer"},
        "activation": {"default": "relu", "choices": ["relu", "gelu"]},
        "residual": False,
    }

They are read from the source, as `RECIPE` is, and shown by `trainer train --module M --help`.
`--hp units=32`, `--units 32` or a hyperparameter of the platform sets one; functions of the module
find it, of the type of its default, as `hparams.units`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.config import (
    KIND_NAMES,
    Hparams,
    Job,
    UserError,
    convert_value,
    flag_of,
    options_of,
    suggestion,
)
from trainer.models.literals import not_literal, read_literal
from trainer.models.module_source import module_file

_KEYS = ("default", "low", "high", "choices", "help")


@dataclass(frozen=True, kw_only=True)
class OwnHparam:
    """A hyperparameter of a module.

    Attributes:
        name: Its name.
        default: Its default, whose type is that of all values.
        low: The smallest value; None for any.
        high: The largest value; None for any.
        choices: The values that there are; empty for any.
        help: A few words for `--help`.
    """

    name: str
    default: bool | int | float | str
    low: float | None = None
    high: float | None = None
    choices: Sequence[Any] = ()
    help: str = ""

    @property
    def text(self) -> str:
        """Help, range and default for people."""
        parts = [self.help] if self.help else []
        if self.choices:
            parts.append(f"one of {', '.join(map(str, self.choices))}")
        elif self.low is not None or self.high is not None:
            low = "" if self.low is None else f"from {self.low:g} "
            high = "" if self.high is None else f"to {self.high:g}"
            parts.append(f"{low}{high}".strip())
        return f"{'; '.join(parts)} (default: {self.default})".lstrip()

    def value(self, text: Any) -> Any:
        """Return a value of the right type and range.

        Raises:
            UserError: It is none.
        """
        subject = f"--hp {self.name}={text}"
        kind = type(self.default)
        value = str(text) if kind is str else convert_value(text, kind)
        if type(value) is not kind:
            raise UserError(subject=subject, problem=f"expected {KIND_NAMES[kind]}")
        if self.choices and value not in self.choices:
            raise UserError(
                subject=subject, problem=f"expected one of {', '.join(map(str, self.choices))}"
            )
        if self.low is not None and float(value) < self.low:
            raise UserError(subject=subject, problem=f"expected {self.low:g} or more")
        if self.high is not None and float(value) > self.high:
            raise UserError(subject=subject, problem=f"expected {self.high:g} or less")
        return value


class ModuleHparams:
    """The hyperparameters as functions of a module get them: those of the job, and its own.

    Args:
        hparams: Of the job.
        own: Values of the module's own.
    """

    def __init__(self, hparams: Hparams, own: Mapping[str, Any]) -> None:
        self._hparams, self._own = hparams, dict(own)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__.get("_own", {})
        return own[name] if name in own else getattr(self.__dict__["_hparams"], name)


def own_hparams(module: str) -> dict[str, OwnHparam]:
    """Return the hyperparameters that a module states, by name; none for the built-in one.

    Args:
        module: As `--module` has it.

    Raises:
        UserError: `HPARAMS` is not as it should be.
    """
    file = None if module == Job.module else module_file(module)
    stated = read_literal(file, "HPARAMS", module) if file else {}
    return {str(name): _made(str(name), each, module) for name, each in stated.items()}


def values_of(hparams: Hparams, module: str) -> dict[str, Any]:
    """Return the values of a module's own hyperparameters, by name.

    Raises:
        UserError: One is not known, or has another type or range.
    """
    stated = own_hparams(module)
    given = dict(hparams.hp)
    for name in given if stated else ():
        if name not in stated:
            raise not_stated(name, stated, module)
    return {
        name: each.value(given[name]) if name in given else each.default
        for name, each in stated.items()
    }


def not_stated(name: str, stated: Mapping[str, OwnHparam], module: str) -> UserError:
    """Return the error for a hyperparameter that a module does not state."""
    return UserError(
        subject=f"--hp {name}",
        problem=f"HPARAMS of {module} has no {name}{suggestion(name, stated)}",
        remedy=f"expected one of {', '.join(stated)}",
    )


def completed(hparams: Hparams, module: str) -> Hparams:
    """Return hyperparameters with the defaults of the module's own.

    Raises:
        UserError: See `values_of`.
    """
    values = values_of(hparams, module)
    if not values:
        return hparams
    return dataclasses.replace(hparams, hp=tuple((name, str(v)) for name, v in values.items()))


def passed_on(function: Callable[..., Any], module: str) -> Callable[..., Any]:
    """Return a function of a module that gets its own hyperparameters beside those of the job."""
    if not own_hparams(module):
        return function

    @functools.wraps(function)
    def with_own(hparams: Hparams, **options: Any) -> Any:
        return function(ModuleHparams(hparams, values_of(hparams, module)), **options)

    return with_own


def check_imported(stated: Any, module: str) -> None:
    """Check that a module's `HPARAMS` is the one that was read from its source.

    Raises:
        UserError: The module imports it from elsewhere, or makes it as it runs.
    """
    file = module_file(module)
    if file is None or stated != read_literal(file, "HPARAMS", module):
        raise not_literal("HPARAMS", module)


def _made(name: str, stated: Any, module: str) -> OwnHparam:
    subject = f"HPARAMS of {module}: {name}"
    if not name.isidentifier():
        raise UserError(subject=subject, problem="expected a name of letters, digits and _")
    if name in options_of(Hparams) or name in options_of(Job):
        mend = f"leave it out: RECIPE may set its default, and hparams.{name} has its value"
        raise UserError(
            subject=subject,
            problem=f"is a flag already, {flag_of(name)}",
            remedy=mend if name in options_of(Hparams) else "choose another name",
        )
    fields = stated if isinstance(stated, dict) else {"default": stated}
    unknown = [key for key in fields if key not in _KEYS]
    if unknown or "default" not in fields:
        wrong = f"{unknown[0]} is not known" if unknown else "has no default"
        raise UserError(subject=subject, problem=wrong, remedy=f"expected {', '.join(_KEYS)}")
    made = OwnHparam(name=name, **fields)
    if type(made.default) not in (bool, int, float, str):
        raise UserError(
            subject=subject, problem=f"its default {made.default!r} is no number, text or switch"
        )
    try:
        made.value(made.default)
    except UserError as error:
        raise UserError(subject=subject, problem=f"its default: {error.problem}") from None
    return made
