"""A training or tuning job of a script as a command of `trainer submit`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.migration.calls import DEFAULT_BUCKET
from trainer.migration.commands import Flag, LeftOut
from trainer.migration.draft import Draft
from trainer.migration.estimator import add_argument, image_at
from trainer.migration.followed import Followed
from trainer.migration.inputs import add_inputs
from trainer.migration.job_values import add_hyperparameters, outside
from trainer.migration.model_trainer import flattened
from trainer.migration.requests import ORIGINALS
from trainer.migration.search import add_search
from trainer.migration.signatures import FRAMEWORKS, REQUESTS
from trainer.migration.source import Script
from trainer.migration.target import Target
from trainer.migration.user_code import find_code
from trainer.migration.values import (
    Given,
    Made,
    Text,
    Unknown,
    Use,
    is_text,
    joined,
    simplified,
)

STARTS = ("fit", "train")
# Arguments of these that are read, or without which nothing is lost; then those of a step.
_READ = (
    "inputs", "input_data_config", "wait", "logs", "job_name", "experiment_config",
    "include_cls_metadata", "estimator", "tuner", "name", "display_name", "description",
    "depends_on", "step_args",
)  # fmt: skip
_STARTING = {"run_tensorboard_locally": "use --log-dir behind --, and tensorboard --logdir"}
OTHERS = "the trainer trains Keras models of TensorFlow alone"
_AS_SCRIPT = "; as a script it runs in the image by the SDK's Estimator(image_uri=…, entry_point=…)"
OTHER_FRAMEWORKS = FRAMEWORKS[1:]
# Longest names, without the date and time behind them.
_LONGEST_JOB, _LONGEST_SEARCH = 63 - 16, 32 - 16


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A script whose jobs are read.

    Attributes:
        script: The script.
        followed: What it makes.
        target: Where its jobs are to run.
    """

    script: Script
    followed: Followed
    target: Target


def draft_of(reading: Reading, made: Made, *, tuner: Made | None = None) -> Draft:
    """Return the command for an estimator, with the search of a tuner if one uses it."""
    draft = Draft(target=reading.target, line=made.line)
    given = flattened(reading.followed, made)
    _add_region(draft, reading.followed.settings)
    for name, each in given.items():
        if name != "input_data_config":
            add_argument(draft, name, each)
    for use in reading.followed.uses_of(made, "set_hyperparameters"):
        values = {name: each.value for name, each in use.given.items()}
        add_hyperparameters(draft, values, Given(value=values, source="", line=use.line))
    if "image" not in draft.flags:
        draft.set("image", image_at(reading.target.place))
    add_code(draft, reading, given)
    if tuner is not None:
        add_search(draft, tuner)
    if made.kind in OTHER_FRAMEWORKS:
        draft.note(made.line, made.kind, OTHERS)
    starts = reading.followed.uses_of(tuner or made, *STARTS)
    start = starts[0] if starts else _step_of(reading.followed, tuner or made)
    for other in starts[1:]:
        draft.note(other.line, other.method, "starts one more job: repeat the command with its "
                   "data and another --name")  # fmt: skip
    _start(draft, start, given)
    _add_output(draft)
    prefix = tuner.value("base_tuning_job_name") if tuner else None
    _add_name(draft, start, prefix, longest=_LONGEST_SEARCH if tuner else _LONGEST_JOB)
    if made.kind in REQUESTS:
        draft.rename(ORIGINALS)
    return draft


def _step_of(followed: Followed, made: Made) -> Use | None:
    """Return the step of a pipeline that starts a job, with its inputs as those of `fit`."""
    for step in followed.made:
        if step.kind in ("TrainingStep", "TuningStep") and step.value("estimator", "tuner") is made:
            return Use(made=made, method="fit", given=step.given, line=step.line)
    return None


def _add_region(draft: Draft, settings: Mapping[str, Given]) -> None:
    """Take the region that the script chooses for AWS's libraries."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if name in settings and draft.target.place == "sagemaker":
            draft.set("region", settings[name].value)


def add_code(draft: Draft, reading: Reading, given: Mapping[str, Given]) -> None:
    """Add the script of an estimator or a job as --module, and say what of it has to change."""
    entry, folder = given.get("entry_point"), given.get("source_dir")
    if entry is None:
        return
    source = folder.value if folder and isinstance(folder.value, str) else None
    if not isinstance(entry.value, str) or (folder and source is None):
        draft.note(entry, "entry_point", "name a file with keras_model(hparams) by --module")
        return
    if source and "://" in source:
        draft.note(folder or entry, "source_dir", "unpack it here, and name its file by --module")
        return
    if not entry.value.endswith(".py") and "." in entry.value:
        draft.note(entry, "entry_point", "is no Python: name the file of the model that it trains "
                   "by --module, with keras_model(hparams)")  # fmt: skip
        return
    code = find_code(reading.script, entry.value, source)
    draft.fields["module"] = code.module
    if code.is_ready:
        if not code.module.endswith(entry.value):
            draft.note(entry, "entry_point", f"the trainer runs the loop itself, with the model of "
                       f"{code.module}")  # fmt: skip
        return
    place = draft.target.place
    draft.note(entry, "entry_point", f"{code.module} needs keras_model(hparams): "
               f"docs/your-model.md{_AS_SCRIPT if place == 'sagemaker' else ''}")  # fmt: skip
    for place, name, remedy in code.notes:
        draft.notes.append(LeftOut(line=entry.line, place=place, name=name, remedy=remedy))


def _start(draft: Draft, start: Use | None, given: Mapping[str, Given]) -> None:
    """Add what `fit` says: the data, whether to wait, and the experiment."""
    found = start.given if start else {}
    data = found.get("inputs") or found.get("input_data_config") or given.get("input_data_config")
    channels = add_inputs(draft, data) if data and data.value is not None else {}
    module = draft.fields.get("module")
    outside(draft, channels)
    # A module that the request itself brings is ready.
    if module != draft.fields.get("module"):
        draft.notes = [note for note in draft.notes if note.name != "entry_point"]
    wait = found["wait"].value if "wait" in found else True
    if start is not None and wait is not False and "local" not in draft.flags:
        draft.set("wait")
    for name in found:
        if name not in _READ and start is not None and start.method in STARTS:
            draft.note(found[name], name, _STARTING.get(name, "trainer submit has no flag for it"))
    if "experiment_config" in found:
        _add_experiment(draft, found["experiment_config"])


def _add_output(draft: Draft) -> None:
    """Name a bucket where one is needed; SageMaker's SDK chooses its default bucket by itself."""
    if "output" in draft.flags or "local" in draft.flags:
        return
    place, module = draft.target.place, draft.fields.get("module", "")
    if place == "vertex" or (place == "sagemaker" and module and "://" not in module):
        bucket = Unknown(name="bucket", source=DEFAULT_BUCKET, line=0)
        draft.set("output", draft.target.url(joined("s3://", bucket, "/runs")))


def _add_experiment(draft: Draft, given: Given) -> None:
    config = given.value if isinstance(given.value, dict) else {}
    name = config.get("ExperimentName")
    if name and draft.target.has("experiment"):
        draft.set("experiment", name)
        if draft.target.place == "vertex" and "project" not in draft.flags:
            # Its full name has the project.
            project = Unknown(name="project", source="project of Google Cloud", line=0)
            draft.set("project", project)
    elif given.value:
        draft.note(given, "experiment_config", "use --experiment NAME")
        return
    for other, value in config.items():
        if other != "ExperimentName":
            each = Given(value=value, source=repr(value), line=given.line)
            draft.note(each, other, "leave it out: the experiment lists each job by its own name")


def set_name(draft: Draft, name: Any) -> None:
    """Name the job as the script does; a time behind the name is added anew."""
    stem = _without_stamp(name)
    draft.flags["name"] = Flag(
        name="--name", values=(name if stem is None else stem,), stamped=stem is not None
    )


def _without_stamp(name: Any) -> Any:
    """Return a name without the time behind it, which each run adds anew; None without one."""
    if not isinstance(name, Text) or not isinstance(name.parts[-1], Unknown):
        return None
    if not name.parts[-1].is_stamp:
        return None
    *before, last = name.parts[:-1]
    stem = simplified([*before, last.rstrip("-_") if isinstance(last, str) else last])
    return stem or None


def _add_name(draft: Draft, start: Use | None, prefix: Any, *, longest: int) -> None:
    base = draft.flags.pop("base_job_name", None)
    given = start.given.get("job_name") if start else None
    if given is not None and is_text(given.value):
        set_name(draft, given.value)
        return
    prefix = prefix or (base.values[0] if base else None)
    stem = _without_stamp(prefix)
    prefix = prefix if stem is None else stem
    if isinstance(prefix, str):
        plain = re.sub(r"[^A-Za-z0-9]+", "-", prefix).strip("-")[:longest].strip("-")
        plain = plain if draft.target.place == "sagemaker" else plain.lower()
        draft.flags["name"] = Flag(name="--name", values=(plain or "job",), stamped=True)
    elif is_text(prefix):
        draft.flags["name"] = Flag(name="--name", values=(prefix,), stamped=True)
