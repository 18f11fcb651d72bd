"""Settings that a team shares: `trainer.toml`, or `[tool.trainer]` in pyproject.toml.

    to = "sagemaker"            # the top level: flags that all places have
    image = "…/trainer:cpu"

    [sagemaker]                 # flags of one place, and what differs there
    image = "…/trainer:gpu"
    role = "SageMakerRole"
    region = "eu-west-1"

A flag counts before a variable, and a variable before the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from trainer.config.conversion import KIND_NAMES, convert_value
from trainer.config.errors import UserError
from trainer.config.flags import from_flags
from trainer.config.options import flag_of, option_types, options_of
from trainer.config.suggest import suggestion

T = TypeVar("T")
FILES = ("trainer.toml", "pyproject.toml")
# What the names of our own variables begin with: TRAINER_IMAGE, TRAINER_SAGEMAKER_ROLE.
PREFIX = "TRAINER_"


@dataclass(frozen=True, kw_only=True)
class TeamSettings:
    """The settings of one file.

    Attributes:
        path: The file, or None if there is none.
        tables: The values by table and key, keys spelled as fields; the top level is the table "".
    """

    path: Path | None = None
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def check_names(self, known: Mapping[str, Collection[str]]) -> None:
        """Raise a UserError for a table or key that nobody reads.

        Args:
            known: The fields of each table.
        """
        for table, values in self.tables.items():
            if table not in known:
                problem = f"no such table{suggestion(table, [t for t in known if t])}"
                raise UserError(subject=f"{self.path}: [{table}]", problem=problem)
            for key in values:
                if key not in known[table]:
                    raise UserError(
                        subject=f"{self.path}: {_place(table, key)}",
                        problem=f"no such setting{suggestion(key, known[table])}",
                        remedy="see trainer config show",
                    )


@dataclass(frozen=True, kw_only=True)
class ResolvedOptions(Generic[T]):
    """The options of one place.

    Attributes:
        value: The options.
        sources: For each field that is not a default, the flag, variable or file that set it.
    """

    value: T
    sources: Mapping[str, str]


def find_team_settings(folder: Path) -> TeamSettings:
    """Read the settings of the first file in a folder or the folders above it.

    Raises:
        UserError: The file cannot be read, is no TOML, or has other than tables and values.
    """
    for each in (folder, *folder.parents):
        for name in FILES:
            found = _read(each / name)
            if found is not None:
                return found
    return TeamSettings()


def resolve_options(
    kind: type[T],
    *,
    table: str,
    flags: Mapping[str, Any],
    env: Mapping[str, str],
    team: TeamSettings,
    place: str = "",
) -> ResolvedOptions[T]:
    """Return options from flags, variables and the team's file, in this order.

    Args:
        kind: A dataclass with fields made by `option`.
        table: The table of the team's file that has them, "" for the top level.
        flags: The flags that were given, by field name; others are ignored.
        env: The environment.
        team: The team's settings.
        place: A place whose own table and variables count before those of `table`.

    Raises:
        UserError: A value is of the wrong type or out of its range.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    # Types can be hashed, which a type variable does not say.
    kinds = option_types(cast(type, kind))
    tables = (place, table) if place else (table,)
    for name, limits in options_of(kind).items():
        variables = (*limits.variables, *(_variable(each, name) for each in tables))
        of = next((each for each in tables if name in team.tables.get(each, {})), None)
        variable = next((each for each in variables if env.get(each)), None)
        if name in flags:
            values[name], sources[name] = flags[name], flag_of(name)
            limits.check(flag_of(name), values[name])
            continue
        if variable is not None:
            text: Any = env[variable].split(",") if limits.many else env[variable]
            source = variable
        elif of is not None:
            text, source = team.tables[of][name], f"{team.path}: {_place(of, name)}"
        else:
            continue
        values[name] = _converted(text, kinds[name], many=limits.many, subject=source)
        sources[name] = source
        limits.check(source, values[name], kind=kinds[name])
    return ResolvedOptions(value=from_flags(kind, values), sources=sources)


def _read(path: Path) -> TeamSettings | None:
    """Return the settings of a file, or None if it is not there or has none."""
    try:
        data: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except (ValueError, OSError) as error:
        if path.name == "pyproject.toml":
            # It is other tools' as well, and they say what is wrong with it.
            return None
        raise UserError(subject=path, problem=f"expected TOML: {error}") from None
    if path.name == "pyproject.toml":
        tool = data.get("tool")
        data = tool.get("trainer") if isinstance(tool, dict) else None
        if data is None:
            return None
    if not isinstance(data, dict):
        raise UserError(subject=f"{path}: tool.trainer", problem="expected a table")
    tables: dict[str, dict[str, Any]] = {"": {}}
    for key, value in data.items():
        if isinstance(value, dict) and not _is_pairs(key):
            tables[key] = {k.replace("-", "_"): v for k, v in value.items()}
        else:
            tables[""][key.replace("-", "_")] = value
    return TeamSettings(path=path, tables=tables)


def _is_pairs(key: str) -> bool:
    """Return whether a table at the top level is one setting of many pairs, such as tags."""
    return key.replace("-", "_") in ("env", "tags")


def _converted(value: Any, kind: type, *, many: bool, subject: str) -> Any:
    if many:
        if isinstance(value, dict):
            return tuple(f"{k}={v}" for k, v in value.items())
        if not isinstance(value, list) or not all(isinstance(v, (str, int, float)) for v in value):
            raise UserError(subject=subject, problem=f"expected a list of texts, found {value!r}")
        return tuple(str(v) for v in value)
    found = convert_value(value, kind) if kind is not str else value
    if type(found) is not kind:
        raise UserError(subject=f"{subject} {value!r}", problem=f"expected {KIND_NAMES[kind]}")
    return found


def _variable(table: str, name: str) -> str:
    return f"{PREFIX}{table}_{name}".replace("__", "_").replace("-", "_").upper()


def _place(table: str, key: str) -> str:
    key = key.replace("_", "-")
    return f"[{table}] {key}" if table else key
