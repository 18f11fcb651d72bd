"""Fields of a job as SageMaker's hyperparameters, which carry nothing but text.

`trainer.platforms.coerce` reads them again. Its rules decide what has to be quoted: an empty text
and `null` are no value there, and text that begins with a quote is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from trainer.config import Job, flag_of, options_of
from trainer.platforms.sagemaker import limits

# What `without_quotes` takes for no value.
_NO_VALUE = ("", "null", "None")


def hyperparameters_of(
    job: Job, names: Collection[str], places: Mapping[str, Any]
) -> dict[str, str]:
    """Return the hyperparameters that set some fields of a job.

    Args:
        job: The job.
        names: The fields that are to be set; the others have their default in the container too.
        places: For fields that are paths, their values in the container; None for those that
            SageMaker sets by other means.

    Raises:
        UserError: A value is longer than SageMaker takes, or they are too many.
    """
    found: dict[str, str] = {}
    for part in (job.hparams, job):
        for name in options_of(type(part)):
            value = places[name] if name in places else getattr(part, name)
            if name not in (*names, *places) or value is None or value == ():
                continue
            found[name] = encoded(name, value)
            limits.check_length(flag_of(name), found[name], limits.HYPERPARAMETER_VALUE)
    limits.check_count("hyperparameters", len(found), limits.HYPERPARAMETERS)
    return found


def encoded(name: str, value: Any) -> str:
    """Return the value of a field as text that is read as the same value again."""
    if name == "hp":
        return _json(dict(value))
    if isinstance(value, tuple):
        return _json([*value])
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    return repr(value)


def _text(value: str) -> str:
    # SageMaker's own pattern lets no line end in.
    plain = value not in _NO_VALUE and not value.startswith('"') and value.isprintable()
    return value if plain else _json(value)


def _json(value: Any) -> str:
    found = json.dumps(value, ensure_ascii=False)
    return found if found.isprintable() else json.dumps(value)
