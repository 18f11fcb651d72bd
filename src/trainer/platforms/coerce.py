"""From text that a platform passes on to a value of the type that a field of `Job` has.

SageMaker's API carries nothing but strings, and its callers disagree on what these are: the SDK's
estimators send JSON (`"INFO"` in quotes, `true`, `null`), others what Python prints (`INFO`,
`True`, `None`). The type of the field decides what is meant.
"""

from __future__ import annotations

import ast
import functools
import json
from typing import Any

from trainer.config import (
    KIND_NAMES,
    Hparams,
    Job,
    Option,
    UserError,
    convert,
    kinds_of,
    options_of,
    unquoted,
)
from trainer.platforms.base import printable_value


@functools.cache
def known_options() -> dict[str, tuple[Option, type]]:
    """Return every option of `Job` and `Hparams`, with the type of its values."""
    return {
        name: (limits, kinds_of(part)[name])
        for part in (Hparams, Job)
        for name, limits in options_of(part).items()
    }


@functools.cache
def option_aliases() -> dict[str, str]:
    """Fields by the other names of their flags, spelt with underscores."""
    return {
        alias.replace("-", "_"): name
        for name, (limits, _) in known_options().items()
        for alias in limits.aliases
    }


def field_of(name: str) -> str:
    """The field that a hyperparameter or flag means, however it is spelt."""
    plain = name.lstrip("-").replace("-", "_")
    return option_aliases().get(plain, plain)


def coerce_value(name: str, value: Any, *, where: str) -> Any:
    """Make of a platform's value what the field holds.

    Args:
        name: The field.
        value: As the platform has it: text, quoted as JSON or not, or JSON already decoded.
        where: Which variable or hyperparameter it is, for the error.

    Returns:
        The value; None where it says nothing.

    Raises:
        UserError: It is not of the field's type, or out of its range.
    """
    limits, kind = known_options()[name]
    value = unquoted(value)
    if isinstance(value, str) and (limits.many or kind is not str):
        value = _decoded(value, nested=limits.many)
    if value in (None, "", [], {}, ()):
        return None
    if name == "hp":
        return _pairs(value, where=where)
    if limits.many:
        return tuple(text(item) for item in (value if isinstance(value, list) else [value]))
    value = text(value) if kind is str else convert(value, kind)
    if type(value) is not kind:
        raise UserError(
            subject=where,
            problem=f"expected {KIND_NAMES[kind]}, found {printable_value(value)}",
        )
    if limits.choices and value not in limits.choices:
        raise UserError(
            subject=where,
            problem=f"expected one of {', '.join(limits.choices)}, found {printable_value(value)}",
        )
    limits.check(where, value)
    return value


def text(value: Any) -> str:
    """A value as text, in the way of JSON unless it is text already."""
    return value if isinstance(value, str) else json.dumps(value, default=str, skipkeys=True)


def _decoded(value: str, *, nested: bool) -> Any:
    """JSON or what Python prints as what it says, anything else as it is.

    Args:
        value: The text.
        nested: Whether a list or an object is wanted; else a number or a boolean.
    """
    if nested and not value.startswith(("[", "{")):
        return value
    if value in ("True", "False"):
        return value == "True"
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(value) if nested else value
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value


def _pairs(value: Any, *, where: str) -> tuple[tuple[str, str], ...]:
    """Names and values: an object, or one or several `NAME=VALUE`."""
    if isinstance(value, dict):
        return tuple((str(name), text(item)) for name, item in value.items())
    pairs = [text(item).partition("=") for item in (value if isinstance(value, list) else [value])]
    if not all(name and equals for name, equals, _ in pairs):
        # The values are the user's own, and may be secrets.
        raise UserError(
            subject=where,
            problem="expected an object of names and values, or NAME=VALUE",
        )
    return tuple((name, item) for name, _, item in pairs)
