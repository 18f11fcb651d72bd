"""`trainer config show`: shows each setting of a place, and where it comes from."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.cli import backend_flags
from trainer.config import (
    Parser,
    ResolvedOptions,
    TeamSettings,
    UserError,
    options_of,
    resolve_options,
)
from trainer.runtime import log, output

HELP = "show the settings that a team shares, and where each comes from"
EXAMPLES = """\
# the settings of all places that are not defaults
trainer config show
# all settings of one place, as JSON
trainer config show sagemaker --json
"""


def add_flags(parser: Parser) -> None:
    """Add the place and the form."""
    parser.add_argument("place", metavar="PLACE", nargs="?", help="show this one, defaults as well")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Print a line for each setting: its value, and the variable or file that sets it."""
    log.begin(to="err")
    from trainer.backends import BACKENDS, SubmitOptions
    from trainer.cli.endpoint_flags import TABLE
    from trainer.endpoints import DeployOptions

    kinds: dict[str, type] = {name: BACKENDS[name].options for name in BACKENDS}
    kinds[TABLE] = DeployOptions
    team = backend_flags.team_settings()
    if args.place is not None and args.place not in kinds:
        names = ", ".join(kinds)
        raise UserError(subject=args.place, problem=f"expected one of {names}")
    tables: dict[str, type] = {"": SubmitOptions}
    tables |= {args.place: kinds[args.place]} if args.place else kinds
    rows = list(_rows(tables, team, place=args.place or ""))
    if not args.place:
        shared = {(row["setting"], row["from"]) for row in rows}
        for name in BACKENDS:
            # One place may set another value for an option that all places have.
            differing = _rows({"": SubmitOptions}, team, place=name, shown=name)
            rows += [row for row in differing if (row["setting"], row["from"]) not in shared]
    if args.json:
        output.out_json({"file": str(team.path) if team.path else None, "settings": rows})
        return
    output.out(f"file: {team.path or 'none: no trainer.toml, no [tool.trainer] in pyproject.toml'}")
    for row in rows:
        place = f"[{row['place']}] " if row["place"] else ""
        value = row["value"]
        if isinstance(value, (list, tuple)):
            value = ", ".join(map(str, value)) or None
        shown = "none" if value is None else value
        output.out(f"{place}{row['setting']} = {shown}  ({row['from']})")


def _rows(
    tables: Mapping[str, type], team: TeamSettings, *, place: str, shown: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield the settings of some tables that are set, or of a place that is shown alone all."""
    for table, kind in tables.items():
        found: ResolvedOptions[Any] = resolve_options(
            kind, table=table, flags={}, env=os.environ, team=team, place="" if table else place
        )
        for name in options_of(kind):
            source = found.sources.get(name)
            if source or (place and not shown):
                value = output.clean_value({name: getattr(found.value, name)})[name]
                yield {"place": shown or table, "setting": name.replace("_", "-"), "value": value,
                       "from": source or "default"}  # fmt: skip
