"""Python source of calls and values, as a person would lay it out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

WIDTH = 88


class Source(str):
    """Text that is source already, in place of a value."""

    __slots__ = ()


def call(function: str, **arguments: Any) -> Source:
    """Return a call with keyword arguments; those that are None are left out."""
    given = [f"{name}={source_of(value)}" for name, value in arguments.items() if value is not None]
    return Source(_laid_out(f"{function}(", given, ")"))


def region_lines(region: str | None) -> list[str]:
    """Return the lines that choose the region in which AWS's libraries look, if one is named."""
    return [f'os.environ["AWS_DEFAULT_REGION"] = {region!r}', ""] if region else []


def source_of(value: Any) -> str:
    """Return the source of a value: a number, text, list, dict, or source already."""
    if isinstance(value, Source):
        return value
    if isinstance(value, Mapping):
        return _laid_out("{", [f"{k!r}: {source_of(v)}" for k, v in value.items()], "}")
    if isinstance(value, (list, tuple)):
        return _laid_out("[", [source_of(each) for each in value], "]")
    return repr(value)


def _laid_out(start: str, parts: list[str], end: str) -> str:
    line = start + ", ".join(parts) + end
    if len(line) <= WIDTH - 20 and "\n" not in line:
        return line
    return "\n".join([start, *(textwrap.indent(f"{each},", "    ") for each in parts), end])
