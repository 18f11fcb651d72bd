"""Hyperparameters and channels of a script as the options of the trainer's job."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from trainer.config import UserError, without_quotes
from trainer.migration.draft import Draft, is_option
from trainer.migration.values import Given, Made, Text, Unknown, is_known, is_text, joined
from trainer.platforms import coerce_value, field_of, sagemaker

# SageMaker sets these itself, and collects what is in them.
COLLECTED = ("model_dir", "output_dir", "job_dir")
_DATA = "/opt/ml/input/data/"
_OWN_NAME = re.compile(r"[A-Za-z]\w*")


def add_hyperparameters(draft: Draft, found: Mapping[Any, Any], given: Given) -> None:
    """Add the hyperparameters of an estimator to the job.

    Args:
        draft: The command.
        found: Their values by name.
        given: The argument that they stand in.
    """
    switches: dict[str, Any] = {}
    for name, value in found.items():
        each = Given(value=value, source=_shown(value), line=given.line)
        if str(name).startswith("**"):
            draft.note(each, str(name), "its hyperparameters exist only while the script runs")
        elif str(name).startswith("sagemaker_"):
            switches[str(name)] = value
        elif is_option(field_of(str(name))):
            add_field(draft, field_of(str(name)), each, name=str(name))
        elif _OWN_NAME.fullmatch(str(name).replace("-", "_")) and _text(value) is not None:
            draft.own[str(name).replace("-", "_")] = _text(value)
        else:
            draft.note(each, str(name), "is no value that a command line can give")
    if switches and is_known(switches):
        _add_switches(draft, switches, given.line)


def add_field(draft: Draft, field: str, given: Given, *, name: str) -> None:
    """Add one option of the job, or note why it cannot be added."""
    value = given.value
    if isinstance(value, (Unknown, Text)):
        draft.open[field] = value
        return
    if field in COLLECTED and isinstance(value, str):
        if not value.startswith("/opt/ml/"):
            draft.note(given, name, "leave it out: the model goes to --output; "
                       "--checkpoint-dir URL keeps checkpoints")  # fmt: skip
        return
    try:
        found = coerce_value(field, value, where=name) if is_known(value) else None
    except UserError as error:
        draft.note(given, name, _without(str(error), name))
        return
    if found is not None:
        draft.fields[field] = found
    elif not is_known(value):
        draft.note(given, name, "exists only while the script runs")


def _without(text: str, name: str) -> str:
    return text.removeprefix(f"{name}: ").removeprefix(f"{name} ")


def _add_switches(draft: Draft, switches: dict[str, Any], line: int) -> None:
    """Add the strategy that the `sagemaker_*` hyperparameters choose."""
    values: dict[str, Any] = {}
    try:
        notes = sagemaker.switches.read_switches(switches, values, {})
    except UserError as error:
        draft.note(line, "hyperparameters", str(error))
        return
    draft.fields |= values
    for text in notes:
        draft.note(line, "hyperparameters", text)


def _text(value: Any) -> Any:
    """Return a value as the text of a hyperparameter; None where it is none."""
    if is_text(value):
        # Notebooks encode values as JSON themselves.
        return without_quotes(value) or value
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else ""
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(value) if is_known(value) and not isinstance(value, Made) else None


def _shown(value: Any) -> str:
    return repr(value)[:80] if is_known(value) else ""


def outside(draft: Draft, channels: Mapping[str, Any]) -> None:
    """Put addresses in the place of the folders that SageMaker shows a container.

    Args:
        draft: The command, whose options may name folders such as /opt/ml/input/data/train.
        channels: The addresses of the channels, by name.
    """
    for field, value in [*draft.fields.items()]:
        values = value if isinstance(value, tuple) else (value,)
        if not any(isinstance(each, str) and each.startswith(_DATA) for each in values):
            continue
        found = [_outside(each, channels) for each in values]
        if any(each is None for each in found):
            draft.note(draft.line, field, f"{values[0]} is the folder of a channel that is not "
                       "there")  # fmt: skip
            del draft.fields[field]
        elif all(isinstance(each, str) for each in found):
            draft.fields[field] = tuple(found) if isinstance(value, tuple) else found[0]
        else:
            del draft.fields[field]
            draft.open[field] = found


def _outside(path: str, channels: Mapping[str, Any]) -> Any:
    if not path.startswith(_DATA):
        return path
    name, _, rest = path.removeprefix(_DATA).partition("/")
    if name not in channels:
        return None
    url = channels[name]
    if not rest:
        return url
    return joined(url, "" if _ends_with_slash(url) else "/", rest)


def _ends_with_slash(url: Any) -> bool:
    return isinstance(url, str) and url.endswith("/")
