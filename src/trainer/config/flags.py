"""Make command-line flags of a dataclass's options, and the dataclass of parsed flags.

    add_flags(parser, ServerSettings)                   # one flag for each option
    from_flags(ServerSettings, vars(parser.parse_args(argv)))

`trainer train`, `serve` and `package` all read their flags with these two functions.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from trainer.config.conversion import Switch, argument_type, without_quotes
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import Option, flag_of, option_types, options_of
from trainer.config.registry import NamesOf

T = TypeVar("T")


def add_flags(parser: argparse.ArgumentParser, *parts: type) -> None:
    """Add one flag for each option of some dataclasses, grouped by purpose.

    A flag that is not given leaves nothing in the parsed arguments, so that `from_flags` can tell
    it from one that is given with its default.

    Args:
        parser: The parser of a verb.
        parts: Dataclasses with fields made by `option`.
    """
    groups: dict[str, Any] = {}
    for part in parts:
        kinds = option_types(part)
        defaults = {f.name: f.default for f in dataclasses.fields(part)}
        for name, limits in options_of(part).items():
            if limits.group not in groups:
                groups[limits.group] = parser.add_argument_group(limits.group)
            groups[limits.group].add_argument(
                flag_of(name),
                *("--" + alias for alias in limits.aliases),
                dest=name,
                default=argparse.SUPPRESS,
                help=_help(limits, defaults[name]),
                **_parsing(name, limits, kinds[name]),
            )


def from_flags(part: type[T], values: Mapping[str, Any]) -> T:
    """Make a dataclass from parsed flags.

    Args:
        part: A dataclass with fields made by `option`.
        values: The flags that were given, by field name; others are ignored.

    Raises:
        UserError: A value is out of its range, or two flags contradict each other.
    """
    return part(**{name: values[name] for name in options_of(part) if name in values})


def job_from_flags(values: Mapping[str, Any]) -> Job:
    """Make a Job, hyperparameters included, from parsed flags; see `from_flags`."""
    return dataclasses.replace(from_flags(Job, values), hparams=from_flags(Hparams, values))


def flags_of(job: Job, names: Collection[str]) -> list[str]:
    """Return the arguments that give some options the values that a job has.

    Args:
        job: The job.
        names: Fields of `Job` and `Hparams`.
    """
    arguments: list[str] = []
    for part in (job.hparams, job):
        for name, limits in options_of(type(part)).items():
            value, flag = getattr(part, name), flag_of(name)
            if name not in names or value is None or value == ():
                continue
            if isinstance(value, bool):
                arguments.append(flag if value else f"--no-{flag.removeprefix('--')}")
                continue
            if not limits.many:
                texts = [_text(value)]
            else:
                texts = ["=".join(v) if name == "hp" else v for v in value]
            if any(text.startswith("-") for text in texts):
                # As words of their own they would be flags.
                arguments += [f"{flag}={text}" for text in texts]
            else:
                arguments += [flag, *texts]
    return arguments


def _text(value: Any) -> str:
    """Return the text from which a flag reads a value: in quotes where it would lose its own."""
    text = repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
    return text if without_quotes(text) == text else json.dumps(text, ensure_ascii=False)


def _parsing(name: str, limits: Option, kind: type) -> dict[str, Any]:
    """Return how argparse reads the values of one option."""
    if limits.many:
        each = _pair if name == "hp" else str
        return {"nargs": "+", "action": _Extend, "type": each, "metavar": limits.metavar}
    if limits.choices:
        return {"type": without_quotes, "action": _Given, "metavar": "|".join(limits.choices)}
    if kind is bool:
        return {"action": Switch}
    metavar = limits.metavar or {int: "N", float: "X"}.get(kind, "NAME")
    read = argument_type(kind)

    def given(text: str) -> Any:
        plain = without_quotes(text)
        return None if plain is None else read(str(plain))

    return {"type": given, "action": _Given, "metavar": metavar}


class _Given(argparse.Action):
    """Set a value, except an empty one: `None` and `null` are no values, as in hyperparameters."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if values is not None:
            setattr(namespace, self.dest, values)


class _Extend(argparse.Action):
    """Collect the values of a flag that may be repeated in a tuple."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest, ())
        setattr(namespace, self.dest, (*before, *(values or ())))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    return name, value


def _help(limits: Option, default: Any) -> str:
    if "{names}" in limits.help:
        return limits.help.replace("{names}", ", ".join(limits.names))
    if "default:" in limits.help or limits.many:
        return limits.help
    if default is None:
        return f"{limits.help} (default: by model)" if limits.by_model else limits.help
    text = f"{limits.help} (default: {default})"
    if isinstance(limits.choices, NamesOf) and limits.choices.explanation():
        # argparse puts a value where a % stands.
        text += "; " + limits.choices.explanation().replace("%", "%%")
    return text
