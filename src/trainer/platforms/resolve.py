"""From what a process finds to its Job: an explicit flag, else the platform, else the default."""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from trainer.errors import UserError
from trainer.flags import job_from_flags
from trainer.job import Hparams, Job, Knob, flag, knobs
from trainer.platforms import ai_platform, local, sagemaker
from trainer.platforms.base import Reading, Seen

# In the order in which they are asked; `local` takes whatever is left.
PLATFORMS: tuple[ModuleType, ...] = (sagemaker, ai_platform, local)


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A job and how it came about.

    Attributes:
        job: What to do.
        platform: Its name.
        because: Why it was taken for that platform.
        sources: For each field that is not a default, what said so.
        notes: Lines for the log.
    """

    job: Job
    platform: str
    because: str
    sources: Mapping[str, str]
    notes: tuple[str, ...]


def resolve(seen: Seen, flags: Mapping[str, Any]) -> Resolved:
    """Make the Job of this process.

    Args:
        seen: The environment and files.
        flags: What was said on the command line, by field name.

    Raises:
        UserError: A variable, file, hyperparameter or flag is not as it should be.
    """
    platform, because = which(seen)
    reading: Reading = platform.read(seen)
    told, sources = _fields(reading, flags)
    values = told | {k: v for k, v in flags.items() if k in _knobs()}
    sources |= {k: flag(k) for k in values if k in flags}
    if values.get("job_dir"):
        _spread(values, sources, trial=reading.trial.number if reading.trial else None)
    if platform is ai_platform:
        _to_mounts(values, seen)
        if sources.get("train") == "AIP_TRAINING_DATA_URI":
            ai_platform.check_format(seen, own_module="module" in values)
    job = dataclasses.replace(
        job_from_flags(values),
        platform=platform.NAME,
        cluster=reading.cluster,
        trial=reading.trial if reading.cluster.is_chief else None,
        stopped_code=reading.stopped_code,
        grace=reading.grace,
        failure_file=reading.failure_file,
    )
    return Resolved(
        job=job, platform=platform.NAME, because=because, sources=sources, notes=reading.notes
    )


def which(seen: Seen) -> tuple[ModuleType, str]:
    """The platform of this process, and why."""
    for platform in PLATFORMS:
        because = platform.detect(seen)
        if because:
            return platform, because
    raise AssertionError("local takes whatever is left")


def coerce(name: str, value: Any, *, where: str) -> Any:
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
    limits, kind = _knobs()[name]
    if kind is not str or (isinstance(value, str) and value.startswith('"')):
        value = _decoded(value)
    if value is None or value == "":
        return None
    if limits.many:
        value = _many(name, value, where=where)
    elif kind is str and not isinstance(value, str):
        value = json.dumps(value) if isinstance(value, (dict, list)) else str(value)
    elif kind is bool and isinstance(value, str) and value.lower() in ("true", "false"):
        value = value.lower() == "true"
    elif kind in (int, float) and type(value) in (int, float, str):
        value = _number(value, kind)
    if not limits.many and type(value) is not kind:
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        raise UserError(f"{where}: {value!r}: expected {names[kind]}")
    limits.check(where, value)
    return value


def _fields(reading: Reading, flags: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The platform's values by field; what only a user's own module knows goes to `hp`."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    own: list[tuple[str, str]] = []
    plain = {key.lstrip("-").replace("-", "_"): key for key in reading.values}
    module = flags.get("module") or (plain.get("module") and reading.values[plain["module"]])
    for name, key in plain.items():
        where = reading.sources[key]
        field = ALIASES.get(name, name)
        if field in _knobs():
            value = coerce(field, reading.values[key], where=where)
            if value is not None:
                values[field], sources[field] = value, where
        elif module:
            text = _decoded(reading.values[key])
            own.append((name, text if isinstance(text, str) else json.dumps(text)))
        else:
            close = difflib.get_close_matches(name, _knobs(), 1)
            hint = f", did you mean {close[0]}?" if close else ""
            raise UserError(f"{where}: is not known{hint} (trainer train --help lists them)")
    if own:
        values["hp"] = (*own, *values.get("hp", ()))
        sources["hp"] = "hyperparameters that only the module knows"
    return values, sources


def _spread(values: dict[str, Any], sources: dict[str, str], *, trial: str | None) -> None:
    """Put what has no folder of its own into the job's folder; a trial's into one below it."""
    base = str(values["job_dir"]).rstrip("/")
    if trial and not base.endswith(f"/{trial}"):
        base = f"{base}/{trial}"
    where = sources["job_dir"]
    for field, folder in (
        ("model_dir", "model"), ("checkpoint_dir", "checkpoints"), ("log_dir", "logs"),
        ("output_dir", ""),
    ):  # fmt: skip
        if field not in values:
            values[field], sources[field] = f"{base}/{folder}".rstrip("/"), where


def _to_mounts(values: dict[str, Any], seen: Seen) -> None:
    for name in ("train", "test"):
        if values.get(name):
            values[name] = tuple(ai_platform.mounted(path, seen) for path in values[name])
    for name in ("model_dir", "checkpoint_dir", "log_dir", "output_dir"):
        if values.get(name):
            values[name] = ai_platform.mounted(values[name], seen)


def _number(value: int | float | str, kind: type) -> Any:
    """A number of the kind wanted, or the value itself if it is none."""
    try:
        number = float(value)
        return kind(number) if kind is float or number.is_integer() else value
    except (ValueError, OverflowError):
        return value


def _many(name: str, value: Any, *, where: str) -> tuple[Any, ...]:
    if name == "hp":
        if not isinstance(value, dict):
            raise UserError(f"{where}: {value!r}: expected an object of names and values")
        return tuple((str(k), v if isinstance(v, str) else json.dumps(v)) for k, v in value.items())
    listed = value if isinstance(value, (list, tuple)) else [value]
    return tuple(str(item) for item in listed)


def _decoded(value: Any) -> Any:
    """JSON as what it says, anything else as it is; `None` and `True` as Python writes them."""
    if not isinstance(value, str):
        return value
    words = {"None": None, "True": True, "False": False}
    if value in words:
        return words[value]
    try:
        return json.loads(value)
    except ValueError:
        return value


def _knobs() -> dict[str, tuple[Knob, type]]:
    """Every knob with the type of its values."""
    found: dict[str, tuple[Knob, type]] = {}
    for part in (Hparams, Job):
        hints = typing.get_type_hints(part)
        for name, limits in knobs(part).items():
            kinds = typing.get_args(hints[name]) or (hints[name],)
            found[name] = (limits, next(k for k in kinds if k is not type(None)))
    return found


ALIASES: dict[str, str] = {
    alias.replace("-", "_"): name for name, (knob, _) in _knobs().items() for alias in knob.aliases
}
