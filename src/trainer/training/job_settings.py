"""Each field of a job with its value, and the flag, variable, file or recipe that sets it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.config import Hparams, Job, options_of
from trainer.models import recipes
from trainer.platforms import PLATFORMS, ResolvedJob
from trainer.runtime import MASK


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


def settings_of(resolved: ResolvedJob, *, env: Mapping[str, str]) -> list[Setting]:
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
            # The data tells what no flag of the hyperparameters does.
            if name == "hparams" or (part is job.hparams and name not in options_of(Hparams)):
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
                Setting(name=name, value=plain_value(name, value), source=source, given=bool(named))
            )
    return found


def _platform_source(resolved: ResolvedJob, name: str, env: Mapping[str, str]) -> str | None:
    """Return what sets a field that only a platform can set; None if it has its default."""
    if name == "platform":
        return resolved.because
    if getattr(resolved.job, name) == getattr(Job(), name):
        return None
    fields = PLATFORMS[resolved.platform].variables
    variables = (v for v, field in fields.items() if field == name and env.get(v))
    return next(variables, f"platform {resolved.platform}")


def plain_value(name: str, value: Any) -> Any:
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
