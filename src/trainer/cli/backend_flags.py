"""The flags that choose a backend, and those of the backend that is chosen."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import (
    Parser,
    ResolvedOptions,
    TeamSettings,
    UserError,
    add_flags,
    find_team_settings,
    flag_of,
    options_of,
    resolve_options,
)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The backend that flags, variables or the team's settings name, with its options.

    Attributes:
        backend: The backend.
        options: Its own options, by `backend.options`.
        sources: For each of them that is no default, what set it.
        team: The team's settings.
    """

    backend: Any
    options: Any
    sources: dict[str, str]
    team: TeamSettings


def add_backend_flags(
    parser: Parser, argv: Sequence[str], *, flag: str, connection_only: bool = False
) -> None:
    """Add the flags of the backend that arguments, variables or the team's settings name.

    Args:
        parser: The parser of a verb.
        argv: The arguments.
        flag: The flag that names the backend, `--to` or `--on`.
        connection_only: Add only what says where jobs are.
    """
    from trainer.backends import BACKENDS

    name = backend_name(argv, flag=flag)
    if name is None or name not in BACKENDS:
        # The parser refuses the name, or the verb says that it is missing.
        return
    backend = BACKENDS[name]
    if not connection_only:
        add_flags(parser, backend.options)
        return
    own: Any = Parser(add_help=False)
    add_flags(own, backend.options)
    group = parser.add_argument_group(name)
    for action in own._actions:
        if action.dest in backend.connection:
            group._add_action(action)


def add_job_flags(parser: Parser, *, named: bool = True) -> None:
    """Add what the verbs of `trainer jobs` share: the job's name, and where it is."""
    if named:
        parser.add_argument("name", metavar="NAME", help="the job")
    parser.add_argument("--on", metavar="PLACE", help="where (default: `to` of the settings)")


def add_connection_flags(parser: Parser, argv: Sequence[str]) -> None:
    """Add the flags that say where the jobs of `--on` are."""
    add_backend_flags(parser, argv, flag="--on", connection_only=True)


def backend_name(argv: Sequence[str], *, flag: str) -> str | None:
    """Return what `--to` or `--on` names, else the variable TRAINER_TO, else the team's `to`."""
    before = [*argv[: argv.index("--")]] if "--" in argv else [*argv]
    for number, argument in enumerate(before):
        name, equals, value = argument.partition("=")
        if name == flag:
            return value if equals else next(iter(before[number + 1 :]), None)
    if os.environ.get("TRAINER_TO"):
        return os.environ["TRAINER_TO"]
    try:
        found = find_team_settings(Path.cwd()).tables.get("", {}).get("to")
    except UserError:
        # The verb reads the file again, and says what is wrong with it.
        return None
    return found if isinstance(found, str) else None


def choose_backend(args: argparse.Namespace, *, flag: str) -> Chosen:
    """Return the backend of a command, with its options.

    Raises:
        UserError: None is named, or an option is wrong.
    """
    from trainer.backends import BACKENDS

    name = backend_name(args.argv, flag=flag)
    names = ", ".join(BACKENDS)
    if name is None:
        raise UserError(
            subject=flag, problem="no place is named", remedy=f"add {flag} with one of {names}"
        )
    if name not in BACKENDS:
        raise UserError(subject=f"{flag} {name}", problem=f"expected one of {names}")
    backend = BACKENDS[name]
    team = team_settings()
    found: ResolvedOptions[Any] = resolve_options(
        backend.options, table=name, flags=vars(args), env=os.environ, team=team
    )
    return Chosen(backend=backend, options=found.value, sources=dict(found.sources), team=team)


def team_settings() -> TeamSettings:
    """Return the team's settings, of which every name is known.

    Raises:
        UserError: The file is malformed, or has a setting that nobody reads.
    """
    team = find_team_settings(Path.cwd())
    if team.path is not None:
        team.check_names(known_settings())
    return team


def known_settings() -> dict[str, Collection[str]]:
    """Return the settings of each table, by field name."""
    from trainer.backends import BACKENDS, SubmitOptions
    from trainer.endpoints import DeployOptions

    known: dict[str, Collection[str]] = {"": [*options_of(SubmitOptions)]}
    known["deploy"] = [*options_of(DeployOptions)]
    common = {*options_of(SubmitOptions)} - {"to"}
    for name, backend in BACKENDS.items():
        known[name] = [*options_of(backend.options), *common]
    return known


def connection_words(chosen: Chosen, *, flag: str) -> list[str]:
    """Return the flags with which another command finds the same backend."""
    words = [flag, chosen.backend.name]
    for name in chosen.backend.connection:
        value = getattr(chosen.options, name)
        if value is not None and chosen.sources.get(name, "").startswith("--"):
            words += [flag_of(name), str(value)]
    return words
