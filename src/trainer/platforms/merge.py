"""Merge the fields of a job: flags override hyperparameters, which override the platform.

A hyperparameter is the user's own setting, like a flag, but the platform has passed it on to every
process of the job; a flag was given to this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.config import Job, UserError, closest_name, flag_of, suggestion, without_quotes
from trainer.platforms.base import PlatformSettings
from trainer.platforms.coerce import coerce_value, field_of, known_options, option_aliases, text

# The folders below `--job-dir` of those fields that have no folder of their own.
JOB_FOLDERS = {
    "model_dir": "/model",
    "checkpoint_dir": "/checkpoints",
    "log_dir": "/logs",
    "output_dir": "",
}


def merge_fields(
    settings: PlatformSettings, flags: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Merge what platform, hyperparameters and flags set.

    Args:
        settings: The platform's settings, with the hyperparameters.
        flags: The flags that were given, by field name.

    Returns:
        The fields of `Job` by name, and for each of them the flag, variable or file that set it.

    Raises:
        UserError: A value is malformed, or a hyperparameter is unknown.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, given in settings.values.items():
        value = coerce_value(name, given, where=settings.sources[name])
        if value is not None:
            values[name], sources[name] = value, settings.sources[name]
    hparams, hparam_sources, own = _hyperparameters(settings.hyperparameters)
    pairs = _own_pairs(own, hparams, flags)
    flag_sources = {name: flag_of(name) for name in flags}
    for stronger, stronger_sources in ((hparams, hparam_sources), (flags, flag_sources)):
        # `steps` and `epochs` exclude each other: the stronger source's replaces the other.
        for length, other in (("steps", "epochs"), ("epochs", "steps")):
            if stronger.get(length) is not None:
                values.pop(other, None)
                sources.pop(other, None)
        values |= stronger
        sources |= stronger_sources
    if pairs:
        # Merged by name, so that a flag changes one of them and keeps the others.
        values["hp"] = tuple(dict(pairs).items())
        sources.setdefault("hp", "hyperparameters that only the module knows")
    if values.get("job_dir"):
        trial = settings.trial.number if settings.trial else None
        _fill_folders(values, sources, flags, trial=trial)
    return values, sources


def resembling_notes(pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return a line for each hyperparameter of the user's module that may be meant for a flag."""
    found = (
        (name, closest_name(name, [flag_of(own) for own in known_options()])) for name, _ in pairs
    )
    return tuple(
        f"hyperparameter {name}: passed on to your module; the trainer's own flag is {meant}"
        for name, meant in found
        if meant
    )


def _own_pairs(
    own: Mapping[str, str], hparams: Mapping[str, Any], flags: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
    """Return the hyperparameters of the user's module, the strongest last.

    Args:
        own: Hyperparameters that are no fields.
        hparams: Hyperparameters that are fields, by name.
        flags: Flags, by field name.

    Raises:
        UserError: There are such hyperparameters, but no module of the user's own.
    """
    own_module = (flags.get("module") or hparams.get("module") or Job.module) != Job.module
    if own and not own_module:
        name = next(iter(own))
        meant = suggestion(name, [*known_options(), *option_aliases()])
        raise UserError(
            subject=f"hyperparameter {name}",
            problem=f"is not known{meant} (trainer train --help)",
        )
    named = ((field_of(key), value) for key, value in own.items())
    pairs = (*named, *hparams.get("hp", ()), *flags.get("hp", ()))
    if pairs and not own_module:
        name = pairs[0][0]
        meant = suggestion(name, [flag_of(known_name) for known_name in known_options()])
        raise UserError(
            subject=f"--hp {name}",
            problem="only a model of your own (--module) has hyperparameters besides the "
            f"flags{meant}",
        )
    return pairs


def _hyperparameters(
    given: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """Return the fields that hyperparameters set, their sources, and those that are no fields."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    own: dict[str, str] = {}
    for key, value in given.items():
        name, where = field_of(key), f"hyperparameter {key}"
        if name not in known_options():
            plain = without_quotes(value)
            own[key] = "" if plain is None else text(plain)
            continue
        value = coerce_value(name, value, where=where)
        if value is None:
            continue
        if values.get(name, value) != value:
            raise UserError(
                subject=where,
                problem=f"contradicts {sources[name]}",
                remedy="send one of the two",
            )
        values[name], sources[name] = value, where
    return values, sources, own


def _fill_folders(
    values: dict[str, Any], sources: dict[str, str], flags: Mapping[str, Any], *, trial: str | None
) -> None:
    """Set the folders that are not given to some below `--job-dir`, for each trial another."""
    base = str(values["job_dir"]).rstrip("/")
    if trial and not base.endswith(f"/{trial}"):
        base = f"{base}/{trial}"
    # As a flag it overrides the platform's folders, too.
    named = flags if "job_dir" in flags else values
    for name, folder in JOB_FOLDERS.items():
        if name not in named:
            values[name], sources[name] = base + folder or "/", sources["job_dir"]
