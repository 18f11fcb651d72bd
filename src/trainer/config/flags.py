"""The command line of `trainer train`, built from the fields of `Job` and `Hparams`."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from trainer.config.errors import UserError
from trainer.config.job import Hparams, Job
from trainer.config.options import Option, flag, options_of
from trainer.config.suggest import hint
from trainer.config.values import Switch, reader, unquoted

# Where parsed arguments hold the parser of their verb.
VERB = "verb_parser"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are `UserError`s of one line."""

    def set_verb(self, run: Any) -> None:
        """Have `run` called with the arguments of this verb, and its flags suggested in errors."""
        self.set_defaults(**{"run": run, VERB: self})

    def error(self, message: str) -> NoReturn:
        """Raise a UserError instead of printing the usage and leaving."""
        raise UserError.from_text(f"{message} (see {self.prog} --help)")

    def parse_args(self, args: Any, namespace: Any = None) -> Any:  # type: ignore[override]
        args = [_hyphens(a) for a in args]
        if self._subparsers and args and args[0].startswith("-"):
            # Else argparse says only that there is no verb.
            name = args[0].partition("=")[0]
            if name not in self._option_string_actions:
                self.error(f"unknown argument {name}{hint(name, self._option_string_actions)}")
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown and getattr(parsed, "module", None):
            # A model of the user's own has hyperparameters of its own; tuning services name them
            # as flags.
            parsed.hp = (*_own(unknown, self), *getattr(parsed, "hp", ()))
        elif unknown:
            # The parser of the verb knows its flags; the one above it knows only its own.
            verb: Parser = getattr(parsed, VERB, self)
            name = unknown[0].partition("=")[0]
            verb.error(f"unknown argument {name}{hint(name, verb._option_string_actions)}")
        return parsed

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        verbs = action.choices
        if isinstance(action, argparse._SubParsersAction) and verbs and value not in verbs:
            self.error(f"unknown command {value}{hint(value, verbs)}; expected {', '.join(verbs)}")
        super()._check_value(action, value)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add one flag for each knob of `Job` and `Hparams`, grouped by purpose."""
    groups: dict[str, Any] = {}
    for part in (Hparams, Job):
        types = typing.get_type_hints(part)
        defaults = {f.name: f.default for f in dataclasses.fields(part)}
        for name, limits in options_of(part).items():
            if limits.group not in groups:
                groups[limits.group] = parser.add_argument_group(limits.group)
            groups[limits.group].add_argument(
                flag(name),
                *("--" + alias for alias in limits.aliases),
                dest=name,
                default=argparse.SUPPRESS,
                help=_help(limits, defaults[name]),
                **_parsing(name, limits, types[name]),
            )


def job_from_flags(values: Mapping[str, Any]) -> Job:
    """Make a Job from parsed flags.

    Args:
        values: The flags that were given, by field name; others are ignored.

    Raises:
        UserError: A value is out of its range, or two flags contradict each other.
    """
    hparams = {name: values[name] for name in options_of(Hparams) if name in values}
    job = {name: values[name] for name in options_of(Job) if name in values}
    return Job(hparams=Hparams(**hparams), **job)


def _parsing(name: str, limits: Option, hint: Any) -> dict[str, Any]:
    """How argparse reads one knob."""
    if limits.many:
        kind = _pair if name == "hp" else str
        return {"nargs": "+", "action": _Extend, "type": kind, "metavar": limits.metavar}
    kinds = [kind for kind in typing.get_args(hint) or (hint,) if kind is not type(None)]
    if limits.choices:
        return {"type": unquoted, "action": _Given, "metavar": "|".join(limits.choices)}
    if kinds == [bool]:
        return {"action": Switch}
    metavar = limits.metavar or {int: "N", float: "X"}.get(kinds[0], "NAME")
    read = reader(kinds[0])

    def given(text: str) -> Any:
        plain = unquoted(text)
        return None if plain is None else read(str(plain))

    return {"type": given, "action": _Given, "metavar": metavar}


class _Given(argparse.Action):
    """Set a value, unless it says nothing: as a hyperparameter, `None` is no value."""

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
    """Gather the values of a flag that may come several times, as a tuple."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest, ())
        setattr(namespace, self.dest, (*before, *(values or ())))


def _own(arguments: Sequence[str], parser: Parser) -> Iterator[tuple[str, str]]:
    """Flags that only the user's module knows, as names and values."""
    left = list(arguments)
    while left:
        name, equals, value = left.pop(0).partition("=")
        if not name.startswith("--") or not (equals or left):
            parser.error(f"unknown argument {name}, expected --NAME VALUE")
        yield name.removeprefix("--").replace("-", "_"), value if equals else left.pop(0)


def _hyphens(argument: str) -> str:
    """Spell a flag with hyphens: platforms and people write `--batch_size` as well."""
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else argument


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    return name, value


def _help(limits: Option, default: Any) -> str:
    if "default:" in limits.help or limits.many:
        return limits.help
    return f"{limits.help} (default: {'by model' if default is None else default})"
