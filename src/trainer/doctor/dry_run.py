"""The output of `trainer train --dry-run`: the job, and the processes that would be started.

Only flags, variables and the platform's files are read, and nothing is started.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.config import Hparams, Job, options_of
from trainer.launch import Command
from trainer.models import recipes
from trainer.platforms import PLATFORMS, ResolvedJob
from trainer.runtime import (
    MASK,
    display_value,
    known_secrets,
    mask_text,
    mask_value,
    masked_argv,
    masked_environment,
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The value of one field of the job, and where it comes from.

    Attributes:
        name: As in `Job` or `Hparams`.
        value: The value that a run would use.
        source: The flag, variable, file or recipe that sets it, or `default`.
        given: True if a flag or the platform sets it.
    """

    name: str
    value: Any
    source: str
    given: bool


def settings(resolved: ResolvedJob, *, env: Mapping[str, str]) -> list[Setting]:
    """Return every field of the job, completed by the model's recipe, and where it comes from.

    Args:
        resolved: The job.
        env: The environment it was resolved from, to name the variable that describes the cluster.
    """
    job = resolved.job
    # Without a flag the device decides on the precision; any valid one completes the rest.
    complete = recipes.complete(job, precision=job.hparams.precision or "float32")
    recipe = recipes.recipe_of(job)
    found: list[Setting] = []
    for part, whole in ((job.hparams, complete.hparams), (job, complete)):
        for field in dataclasses.fields(part):
            name, value = field.name, getattr(whole, field.name)
            if name == "hparams":
                continue
            named = resolved.sources.get(name)
            if not named and name == "precision":
                value, source = "by device", "default"
            elif not named and name not in options_of(type(part)):
                named = _platform_source(resolved, name, env)
                source = named or "default"
            elif not named and getattr(part, name) != value:
                source = recipe.source(name)
            else:
                source = named or "default"
            found.append(
                Setting(name=name, value=_plain(name, value), source=source, given=bool(named))
            )
    return found


def as_dict(
    resolved: ResolvedJob, *, commands: Sequence[Command], env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the job and the processes as JSON can hold them, secrets masked.

    Args:
        resolved: The job, and where its fields come from.
        commands: The processes that would be started.
        env: The environment of this process. Of theirs only the variables are returned that differ
            from it, and those of the platform.
    """
    env = env or {}
    hide = known_secrets(env) | known_secrets(dict(resolved.job.hparams.hp))
    for command in commands:
        hide |= known_secrets(command.env)
    own = PLATFORMS[resolved.platform].prefixes
    processes = []
    for command in commands:
        variables = {
            name: value
            for name, value in masked_environment(command.env).items()
            if command.env[name] != env.get(name) or name.startswith(own)
        }
        processes.append(
            {
                "name": command.name,
                "argv": masked_argv(command.argv, hide=hide),
                "cwd": mask_text(str(command.cwd), hide=hide) if command.cwd else None,
                "env": mask_value(dict(sorted(variables.items())), hide=hide),
                "without": sorted(set(env) - set(command.env)),
            }
        )
    fields = {
        s.name: {"value": mask_value(s.value, hide=hide), "from": s.source}
        for s in settings(resolved, env=env)
    }
    return {
        "platform": resolved.platform,
        "because": mask_value(resolved.because, hide=hide),
        "notes": mask_value(list(resolved.notes), hide=hide),
        "job": fields,
        "processes": processes,
    }


def describe(
    resolved: ResolvedJob, *, commands: Sequence[Command], env: Mapping[str, str] | None = None
) -> str:
    """Return the same as text; commands and variables are quoted for a shell."""
    preview = as_dict(resolved, commands=commands, env=env)
    lines = [f"platform: {preview['platform']} ({preview['because']})"]
    lines += [f"note: {note}" for note in preview["notes"]]
    lines.append("job:")
    for name, field in preview["job"].items():
        lines.append(f"  {name} = {display_value(field['value'])}  ({field['from']})")
    for process in preview["processes"]:
        lines.append(f"process {process['name']}:")
        lines += [f"  {name}={shlex.quote(value)}" for name, value in process["env"].items()]
        if process["without"]:
            lines.append(f"  without {' '.join(process['without'])}")
        if process["cwd"]:
            lines.append(f"  in {process['cwd']}")
        lines.append(f"  $ {shlex.join(process['argv'])}")
    if not preview["processes"]:
        lines.append("processes: none beside this one")
    return "\n".join(lines)


def _platform_source(resolved: ResolvedJob, name: str, env: Mapping[str, str]) -> str | None:
    """Return what sets a field that only a platform can set; None if it has its default."""
    if name == "platform":
        return resolved.because
    if getattr(resolved.job, name) == getattr(Job(), name):
        return None
    fields = PLATFORMS[resolved.platform].variables
    variables = (v for v, field in fields.items() if field == name and env.get(v))
    return next(variables, f"platform {resolved.platform}")


def _plain(name: str, value: Any) -> Any:
    """Return a field's value as JSON can hold it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Hparams)):
        return {
            k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(value).items()
        }
    if name == "hp":
        return dict(value)
    if name == "secret":
        return MASK if value else None
    return list(value) if isinstance(value, tuple) else value
