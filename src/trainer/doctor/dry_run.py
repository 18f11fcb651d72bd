"""What `trainer train --dry-run` prints: the job, and the processes that would be started.

Nothing is looked at but the arguments, and nothing is started.
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
from trainer.runtime import MASK, known, mask_text, mask_value, masked, masked_argv


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A field of the job.

    Attributes:
        name: As in `Job` or `Hparams`.
        value: What it will be.
        source: The flag, variable, file or recipe that says so, or `default`.
        given: Whether a flag or the platform says so.
    """

    name: str
    value: Any
    source: str
    given: bool


def settings(resolved: ResolvedJob, *, env: Mapping[str, str]) -> list[Setting]:
    """Every field of the job, completed by the model's recipe, and where it comes from.

    Args:
        resolved: The job.
        env: The environment it was made from, to name the variable that says who takes part.
    """
    job = resolved.job
    # Any precision does: which one it will be is for the device to say.
    complete = recipes.complete(job, precision=job.hparams.precision or "float32")
    found: list[Setting] = []
    for asked, whole in ((job.hparams, complete.hparams), (job, complete)):
        for field in dataclasses.fields(asked):
            name, value = field.name, getattr(whole, field.name)
            if name == "hparams":
                continue
            given = resolved.sources.get(name)
            if not given and name == "precision":
                value, source = "by device", "default"
            elif not given and name not in options_of(type(asked)):
                given = _platform_source(resolved, name, env)
                source = given or "default"
            elif not given and getattr(asked, name) != value:
                source = f"recipe {job.hparams.model}"
            else:
                source = given or "default"
            found.append(
                Setting(name=name, value=_plain(name, value), source=source, given=bool(given))
            )
    return found


def as_dict(
    resolved: ResolvedJob, *, commands: Sequence[Command], env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The job and the processes as plain values, secrets masked.

    Args:
        resolved: The job and how it came about.
        commands: The processes that would be started.
        env: The environment of this process; of the others' only what differs is told, and what
            the platform itself sets.
    """
    env = env or {}
    hide = known(env) | known(dict(resolved.job.hparams.hp))
    for command in commands:
        hide |= known(command.env)
    own = PLATFORMS[resolved.platform].prefixes
    processes = []
    for command in commands:
        told = {
            name: value
            for name, value in masked(command.env).items()
            if command.env[name] != env.get(name) or name.startswith(own)
        }
        processes.append(
            {
                "name": command.name,
                "argv": masked_argv(command.argv, hide=hide),
                "cwd": mask_text(str(command.cwd), hide=hide) if command.cwd else None,
                "env": mask_value(dict(sorted(told.items())), hide=hide),
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
    """The same as text; commands and variables are quoted for a shell."""
    told = as_dict(resolved, commands=commands, env=env)
    lines = [f"platform: {told['platform']} ({told['because']})"]
    lines += [f"note: {note}" for note in told["notes"]]
    lines.append("job:")
    for name, field in told["job"].items():
        lines.append(f"  {name} = {shown(field['value'])}  ({field['from']})")
    for process in told["processes"]:
        lines.append(f"process {process['name']}:")
        lines += [f"  {name}={shlex.quote(value)}" for name, value in process["env"].items()]
        if process["without"]:
            lines.append(f"  without {' '.join(process['without'])}")
        if process["cwd"]:
            lines.append(f"  in {process['cwd']}")
        lines.append(f"  $ {shlex.join(process['argv'])}")
    if not told["processes"]:
        lines.append("processes: none beside this one")
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A field's value for people: lists and objects on one line, nothing as `none`."""
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        pairs = [f"{name}={shown(item)}" for name, item in value.items()]
        return ", ".join(pairs) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def _platform_source(resolved: ResolvedJob, name: str, env: Mapping[str, str]) -> str | None:
    """What sets a field that only a platform can; None where it is as everywhere."""
    if name == "platform":
        return resolved.because
    if getattr(resolved.job, name) == getattr(Job(), name):
        return None
    fields = PLATFORMS[resolved.platform].variables
    variables = (v for v, field in fields.items() if field == name and env.get(v))
    return next(variables, f"platform {resolved.platform}")


def _plain(name: str, value: Any) -> Any:
    """A field's value as JSON has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Hparams)):
        return {
            k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(value).items()
        }
    if name == "hp":
        return dict(value)
    if name == "secret":
        return MASK if value else None
    return list(value) if isinstance(value, tuple) else value
