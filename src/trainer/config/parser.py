"""The argument parser of every verb."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from trainer.config.errors import UserError
from trainer.config.suggest import suggestion

# The attribute of parsed arguments that holds the parser of their verb.
VERB = "verb_parser"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are `UserError`s of one line.

    Attributes:
        passing_on: The verbs that pass on what stands after `--`, as `passed_on` of the parsed
            arguments.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.passing_on: set[str] = set()

    def set_verb(self, run: Any) -> None:
        """Make `run` the function of this verb, and suggest the verb's flags in errors."""
        self.set_defaults(**{"run": run, VERB: self})

    def error(self, message: str) -> NoReturn:
        """Raise a UserError instead of printing the usage and leaving."""
        raise UserError.from_text(f"{message} (see {self.prog} --help)")

    def parse_args(self, args: Any, namespace: Any = None) -> Any:  # type: ignore[override]
        args, passed_on = self._separated([_hyphens(a) for a in args])
        if self._subparsers and args and args[0].startswith("-"):
            # argparse would only say that the verb is missing.
            name = args[0].partition("=")[0]
            if name not in self._option_string_actions:
                self.error(
                    f"unknown argument {name}{suggestion(name, self._option_string_actions)}"
                )
        parsed, unknown = self.parse_known_args(args, namespace)
        parsed.passed_on = passed_on
        if unknown and getattr(parsed, "module", None):
            # A user's model has hyperparameters of its own, and tuning services pass them as
            # flags.
            parsed.hp = (*_own(unknown, self), *getattr(parsed, "hp", ()))
        elif unknown:
            # Only the parser of the verb knows the flags among which the right one may be.
            verb: Parser = getattr(parsed, VERB, self)
            name = unknown[0].partition("=")[0]
            hint = suggestion(name, verb._option_string_actions)
            if not hint and args[0] in self.passing_on:
                hint = ", the job's own flags stand behind --"
            verb.error(f"unknown argument {name}{hint}")
        return parsed

    def _separated(self, args: list[str]) -> tuple[list[str], tuple[str, ...]]:
        """Return the arguments of the verb, and those after `--` that it passes on."""
        if "--" in args and args[0] in self.passing_on:
            at = args.index("--")
            return args[:at], tuple(args[at + 1 :])
        return args, ()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        verbs = action.choices
        if isinstance(action, argparse._SubParsersAction) and verbs and value not in verbs:
            self.error(
                f"unknown command {value}{suggestion(value, verbs)}; expected {', '.join(verbs)}"
            )
        super()._check_value(action, value)


def _own(arguments: Sequence[str], parser: Parser) -> Iterator[tuple[str, str]]:
    """Yield name and value of each flag that only the user's module knows."""
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
