"""The output of `trainer train --dry-run`: the job, and the processes that would be started.

Only flags, variables and the platform's files are read, and nothing is started.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.launch import Command
from trainer.platforms import PLATFORMS, ResolvedJob
from trainer.runtime import (
    display_value,
    known_secrets,
    mask_text,
    mask_value,
    masked_argv,
    masked_environment,
)
from trainer.training import settings_of


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
        for s in settings_of(resolved, env=env)
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
