"""Convert text that a platform passes on to the type of a field of `Job`.

SageMaker's API carries nothing but strings, and its callers encode them differently: the SDK's
estimators send JSON (`"INFO"` in quotes, `true`, `null`), others what Python prints (`INFO`,
`True`, `None`). The type of the field decides how a string is read.
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
    convert_value,
    option_types,
    options_of,
    without_quotes,
)
from trainer.platforms.base import printable_value


@functools.cache
def known_options() -> dict[str, tuple[Option, type]]:
    """Return every option of `Job` and `Hparams`, with the type of its values."""
    return {
        name: (limits, option_types(part)[name])
        for part in (Hparams, Job)
        for name, limits in options_of(part).items()
    }


@functools.cache
def option_aliases() -> dict[str, str]:
    """Return fields by the other names of their flags, spelt with underscores."""
    return {
        alias.replace("-", "_"): name
        for name, (limits, _) in known_options().items()
        for alias in limits.aliases
    }


def field_of(name: str) -> str:
    """Return the field that a hyperparameter or flag names, with hyphens or underscores."""
    plain = name.lstrip("-").replace("-", "_")
    return option_aliases().get(plain, plain)


def coerce_value(name: str, value: Any, *, where: str) -> Any:
    """Convert a platform's value to the type of a field.

    Args:
        name: The field.
        value: The platform's value: text, quoted as JSON or not, or JSON already decoded.
        where: The variable or hyperparameter, for the error.

    Returns:
        The value of the field; None where the platform's is empty.

    Raises:
        UserError: The value is not of the field's type, or out of its range.
    """
    limits, kind = known_options()[name]
    value = without_quotes(value)
    if isinstance(value, str) and (limits.many or kind is not str):
        value = _decoded(value, nested=limits.many)
    if value in (None, "", [], {}, ()):
        return None
    if name == "hp":
        return _pairs(value, where=where)
    if limits.many:
        return tuple(text(item) for item in (value if isinstance(value, list) else [value]))
    value = text(value) if kind is str else convert_value(value, kind)
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
    """Return a value as text: text unchanged, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str, skipkeys=True)


def _decoded(value: str, *, nested: bool) -> Any:
    """Decode JSON or what Python prints; return any other text unchanged.

    Args:
        value: The text.
        nested: True for a list or an object, False for a number or a boolean.
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
    """Return the pairs of an object, or of one or several `NAME=VALUE`."""
    if isinstance(value, dict):
        return tuple((str(name), text(item)) for name, item in value.items())
    pairs = [text(item).partition("=") for item in (value if isinstance(value, list) else [value])]
    if not all(name and equals for name, equals, _ in pairs):
        # The message shows no value: it may be a secret.
        raise UserError(
            subject=where,
            problem="expected an object of names and values, or NAME=VALUE",
        )
    return tuple((name, item) for name, _, item in pairs)
