"""Options: fields of a dataclass that are also flags, each with its range and its help text."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.config.conversion import KIND_NAMES
from trainer.config.errors import UserError

# The largest number up to which a float holds each whole number exactly.
LARGEST = 2**53
# NumPy's numbers are numbers, too; text is not checked, as paths may stand in its place.
_NUMBERS: dict[type, type] = {int: numbers.Integral, float: numbers.Real, bool: bool}


@dataclass(frozen=True)
class Option:
    """The command-line side of a field.

    Attributes:
        help: What the field does, with its unit.
        group: The heading under which `--help` lists the flag.
        low: Smallest value allowed.
        high: Largest value allowed.
        above: True if `low` itself is excluded.
        choices: The only values allowed.
        metavar: What `--help` calls the value.
        many: True if the flag takes several values.
        aliases: Other names of the flag, as the platforms' own programs have them.
        by_model: True if the recipe of the model holds the default.
        names: What stands for `{names}` in `help`, such as the formats that are read.
        variables: Environment variables that set it where no flag does, as the platform's own tools
            read them; the first that is set counts.
    """

    help: str
    group: str
    low: float = -math.inf
    high: float = LARGEST
    above: bool = False
    choices: Sequence[str] = ()
    metavar: str | None = None
    many: bool = False
    aliases: tuple[str, ...] = ()
    by_model: bool = False
    names: Sequence[str] = ()
    variables: tuple[str, ...] = ()

    def check(self, flag: str, value: Any, *, kind: type | None = None) -> None:
        """Raise a UserError unless `value` is allowed.

        Args:
            flag: Its name, for the error.
            value: The value.
            kind: Its type, where no conversion has made sure of that.
        """
        if kind in _NUMBERS and value is not None:
            is_bool = isinstance(value, bool)
            if not isinstance(value, _NUMBERS[kind]) or is_bool is not (kind is bool):
                raise UserError(subject=f"{flag} {value}", problem=f"expected {KIND_NAMES[kind]}")
        if value is None or isinstance(value, (bool, tuple)):
            return
        if self.choices and value not in self.choices:
            raise UserError(
                subject=f"{flag} {value}",
                problem=f"expected one of {', '.join(self.choices)}",
            )
        if isinstance(value, (int, float)):
            # False for NaN, which no comparison holds for.
            inside = self.low <= value <= self.high and not (self.above and value == self.low)
            if not inside:
                raise UserError(
                    subject=f"{flag} {value}",
                    problem=f"expected a number {self.range()}",
                )

    def range(self) -> str:
        """Return the values allowed, in words."""
        low = f"above {self.low:g}" if self.above else f"of {self.low:g} or more"
        if self.high >= LARGEST:
            return low
        return f"{low.removesuffix(' or more')} to {self.high:g}"


def option(default: Any, help: str, group: str, **limits: Any) -> Any:
    """Return a dataclass field that is also a flag; `limits` are the attributes of `Option`."""
    return field(default=default, metadata={"option": Option(help, group, **limits)})


def by_model(help: str, group: str, **limits: Any) -> Any:
    """Return a field whose default is None until the model's recipe fills it in; see `option`."""
    return option(None, help, group, by_model=True, **limits)


def options_of(part: type) -> dict[str, Option]:
    """Return the fields of a dataclass that are flags, by their names."""
    fields = dataclasses.fields(part)
    return {f.name: f.metadata["option"] for f in fields if "option" in f.metadata}


@functools.cache
def option_types(part: type) -> dict[str, type]:
    """Return the type of each option's value, without None for those that may be empty."""
    hints = typing.get_type_hints(part)
    found: dict[str, type] = {}
    for name in options_of(part):
        kinds = typing.get_args(hints[name]) or (hints[name],)
        found[name] = next(kind for kind in kinds if kind is not type(None))
    return found


def flag_of(name: str) -> str:
    """Return the flag that sets a field."""
    return "--" + name.replace("_", "-")
