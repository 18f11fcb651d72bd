"""A knob: a field of a dataclass that is also a flag, with its range and its words for `--help`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.config.errors import UserError

# The largest number that a float holds exactly.
MOST = 2**53


@dataclass(frozen=True)
class Option:
    """How a field is set from the command line.

    Attributes:
        help: What it does, with its unit.
        group: The heading under which `--help` lists it.
        low: Smallest value allowed.
        high: Largest value allowed.
        above: Whether `low` itself is excluded.
        choices: The only values allowed.
        metavar: What `--help` calls the value.
        many: Whether it takes several values.
        aliases: Other names of the flag, as the platforms' own programs have them.
    """

    help: str
    group: str
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    choices: Sequence[str] = ()
    metavar: str | None = None
    many: bool = False
    aliases: tuple[str, ...] = ()

    def check(self, flag: str, value: Any) -> None:
        """Raise a UserError unless `value` is allowed."""
        if value is None or isinstance(value, (bool, tuple)):
            return
        if self.choices and value not in self.choices:
            raise UserError(
                subject=f"{flag} {value}",
                problem=f"expected one of {', '.join(self.choices)}",
            )
        if isinstance(value, (int, float)):
            # Not a number is inside no range; what is no count of anything is inside an open one.
            inside = self.low <= value <= self.high and not (self.above and value == self.low)
            if not inside or value > MOST:
                raise UserError(
                    subject=f"{flag} {value}",
                    problem=f"expected a number {self.range()}",
                )

    def range(self) -> str:
        """The values allowed, in words."""
        low = f"above {self.low:g}" if self.above else f"of {self.low:g} or more"
        if self.high == math.inf:
            return low
        return f"{low.removesuffix(' or more')} to {self.high:g}"


def option(default: Any, help: str, group: str, **limits: Any) -> Any:
    """A dataclass field that is also a flag."""
    return field(default=default, metadata={"knob": Option(help, group, **limits)})


def options_of(part: type) -> dict[str, Option]:
    """The fields of a dataclass that are flags, by their names."""
    fields = dataclasses.fields(part)
    return {f.name: f.metadata["knob"] for f in fields if "knob" in f.metadata}


def flag(name: str) -> str:
    """The flag that sets a field."""
    return "--" + name.replace("_", "-")
