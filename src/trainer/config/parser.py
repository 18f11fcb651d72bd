"""The argument parser of every verb."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from trainer.config.errors import UserError
from trainer.config.suggest import hint

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
