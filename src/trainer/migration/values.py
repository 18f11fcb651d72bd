"""Values that expressions of a script have as far as they can be known without running it.

A value is a Python constant, a list, tuple or dict of values, or one of the classes here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The longest text and the largest number that are worked out; a script may ask for more.
LONGEST, LARGEST = 20_000, 2**64
MOST_VALUES, MOST_PARTS = 10_000, 200
_STAMP = re.compile(
    r"strftime|isoformat|\btime\(\)|\btime_ns\(|\bnow\(|utcnow|uuid|\.timestamp\("
    r"|name_from_base|\bdate |\brandom\."
)


@dataclass(frozen=True)
class Unknown:
    """A value that exists only while the script runs.

    Attributes:
        name: What the script calls it, from which the name of a shell variable is made.
        source: The expression that makes it.
        line: The line of that expression.
        default: What the script takes where nobody sets it; None for nothing.
    """

    name: str
    source: str
    line: int
    default: str | None = None

    @property
    def is_stamp(self) -> bool:
        """True for a time or a number that makes a name the only one of its kind."""
        return bool(_STAMP.search(self.source))

    @property
    def is_call(self) -> bool:
        """True for an expression that is no mere name, which might be another one elsewhere."""
        return bool(self.source) and not self.source.isidentifier()


@dataclass(frozen=True)
class Text:
    """Text some parts of which exist only while the script runs."""

    parts: tuple[str | Unknown, ...]


@dataclass(frozen=True, kw_only=True)
class Given:
    """An argument of a call.

    Attributes:
        value: Its value.
        source: Its source.
        line: Its line.
    """

    value: Any
    source: str
    line: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """An object that the script makes by calling a class, or a function that is known here.

    Attributes:
        kind: The class, without the modules around it: `TensorFlow`.
        given: The arguments by keyword; those given by position have the keyword of their place.
        line: The line of the call.
        owner: The object whose method made it, or None.
        label: What the script calls it, where that is not its class.
    """

    kind: str
    given: Mapping[str, Given] = field(default_factory=dict)
    line: int
    owner: Made | None = None
    label: str = ""

    def value(self, *names: str) -> Any:
        """Return the value of the first of some arguments that is given, or None."""
        return next((self.given[name].value for name in names if name in self.given), None)


@dataclass(frozen=True, kw_only=True)
class Use:
    """A call of a method of an object that the script made."""

    made: Made
    method: str
    given: Mapping[str, Given]
    line: int


def joined(*values: Any) -> Any:
    """Return values one behind the other as text; an Unknown where one of them is no text."""
    parts: list[str | Unknown] = []
    for value in values:
        if isinstance(value, Text):
            parts += value.parts
        elif isinstance(value, Unknown):
            parts.append(value)
        elif isinstance(value, (str, int, float)) or value is None:
            parts.append(str(value))
        else:
            return None
    return simplified(parts)


def simplified(parts: list[str | Unknown]) -> Any:
    """Return parts of a text as a `str` where all of it is known, else as a `Text`."""
    length = sum(len(part) for part in parts if isinstance(part, str))
    if length > LONGEST or len(parts) > MOST_PARTS:
        return None
    if all(isinstance(part, str) for part in parts):
        return "".join(map(str, parts))
    merged: list[str | Unknown] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return merged[0] if len(merged) == 1 else Text(tuple(merged))


def parts_of(value: Any) -> tuple[str | Unknown, ...]:
    """Return the parts of a text."""
    if isinstance(value, Text):
        return value.parts
    return (value,) if isinstance(value, Unknown) else (str(value),)


def is_known(value: Any) -> bool:
    """Return whether a value has no part that exists only while the script runs.

    One of more than `MOST_VALUES` parts, or that contains itself, counts as not known.
    """
    waiting = [value]
    for number, each in enumerate(waiting):
        if isinstance(each, (Unknown, Text, Made)) or number > MOST_VALUES:
            return False
        if isinstance(each, dict):
            waiting += [*each.values()]
        elif isinstance(each, (list, tuple)):
            waiting += each
    return True


def is_text(value: Any) -> bool:
    """Return whether a value is text, known or not."""
    return isinstance(value, (str, Text, Unknown))


def folder_of(url: Any) -> Any:
    """Return the folder of a file in a store."""
    if isinstance(url, str):
        return url.rpartition("/")[0]
    if isinstance(url, Text) and isinstance(url.parts[-1], str):
        return joined(Text(url.parts[:-1]), url.parts[-1].rpartition("/")[0])
    return url
