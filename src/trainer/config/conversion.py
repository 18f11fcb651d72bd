"""Convert text to numbers and booleans, in all spellings that people and platforms use.

Vertex AI's and AI Platform's tuning pass whole numbers as `50.0`, SageMaker's as `"50.0"`, scripts
write `1e3` and `True`. A flag, a hyperparameter and a variable accept the same spellings, because
all of them are read here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

KIND_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_BOOLEANS = {"true": True, "false": False}


def convert_value(value: Any, kind: type) -> Any:
    """Convert a value to a type, or return something of another type if it is not one.

    Args:
        value: Text, or a number or boolean already.
        kind: `int`, `float` or `bool`.

    Returns:
        A `kind` if the value is one. A whole number may be written as 64, 64.0 or 6.4e1; for `int`,
        64.5 is returned as a float, and text that is no number as text.
    """
    if kind is bool:
        return _BOOLEANS.get(str(value).strip().lower(), value)
    if type(value) not in (int, float, str):
        return value
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return str(value)
    # A larger integer would make an error message of hundreds of digits.
    if kind is float or not number.is_integer() or abs(number) >= 2**63:
        return number
    return value if type(value) is int else int(number)


def without_quotes(value: Any) -> Any:
    """Return text without the quotes of JSON, None for an empty value, all else unchanged."""
    if not isinstance(value, str):
        return value
    if value in ("", "null", "None"):
        return None
    if value.startswith('"'):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def argument_type(kind: type) -> Callable[[str], Any]:
    """Return a function that argparse can use as `type`, for whole numbers, numbers or text."""

    def read(text: str) -> Any:
        value = convert_value(text, kind)
        if type(value) is not kind:
            raise argparse.ArgumentTypeError(f"expected {KIND_NAMES[kind]}, found {text[:80]!r}")
        return value

    return str if kind is str else read


class Switch(argparse.Action):
    """A boolean flag: `--name`, `--no-name`, `--name=true` and `--name False` all set it."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        off = ["--no-" + option.removeprefix("--") for option in option_strings]
        self._off = frozenset(off)
        super().__init__([*option_strings, *off], dest, nargs="?", metavar="BOOL", **more)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        value = True if values is None else convert_value(values, bool)
        if not isinstance(value, bool):
            raise argparse.ArgumentError(self, f"expected true or false, found {values!r}")
        setattr(namespace, self.dest, value is not (option_string in self._off))

    def format_usage(self) -> str:
        """Return the flag as the usage line shows it."""
        return " | ".join(self.option_strings)
