"""An estimator of the SageMaker Python SDK as a command of `trainer submit`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from trainer.backends import SubmitOptions
from trainer.config import options_of, suggestion
from trainer.distribution import strategies_where
from trainer.migration.draft import Draft
from trainer.migration.job_values import add_field, add_hyperparameters
from trainer.migration.keywords import KEYWORDS, RENAMED, Keyword
from trainer.migration.resources import add_groups, add_instance_type
from trainer.migration.target import Target
from trainer.migration.values import Given, Made, Text, Unknown, is_known, is_text

_PUSHES = {"sagemaker": "make push-aws", "vertex": "make push-google"}
# Images of Amazon's and Google's own, which have no trainer in them.
_THEIRS = re.compile(
    r"(763104351884|520713654638|683313688378|811284229777|sagemaker-(tensorflow|mxnet|pytorch)"
    r"|(tensorflow|mxnet|pytorch)-(training|inference)|deeplearning-platform-release"
    r"|(vertex-ai|cloud-aiplatform)/(training|prediction))"
)
# The levels of Python's logging, which estimators take as numbers.
_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARN", 40: "ERROR", 50: "FATAL"}
# In GB, of machines of Vertex AI.
_SMALLEST_DISK = 100
_NO_DISTRIBUTION = "use --distribution horovod or multi_worker_mirrored behind --"


def image_at(place: str) -> Unknown:
    """Return what stands for the trainer's image at a place of `trainer submit`."""
    how = _PUSHES.get(place, "make push-aws or make push-google")
    source = f"image of the trainer in a registry: {how}"
    if place in ("docker", "compose"):
        source = "image of the trainer, trainer:cpu: make image"
    return Unknown(name="image", source=source, line=0)


def add_argument(draft: Draft, name: str, given: Given) -> None:
    """Add an argument of an estimator to the command, or note what becomes of it."""
    name = RENAMED.get(name, name)
    if given.value is None or given.value == {} or given.value == []:
        return
    if name == "input_mode":
        given = _not_piped(draft, given)
    special = SPECIAL.get(name)
    if special is not None:
        special(draft, given)
    elif name in KEYWORDS:
        _add_keyword(draft, KEYWORDS[name], given)
    elif name.startswith("**"):
        draft.note(given, name, "these arguments exist only while the script runs")
    else:
        draft.note(given, name, f"is no argument that is known{suggestion(name, KEYWORDS)}")


def _add_keyword(draft: Draft, keyword: Keyword, given: Given) -> None:
    option = option_of(keyword, draft.target)
    if option is None:
        off = given.value is False and keyword.option is not None
        if not keyword.quiet and not off:
            draft.note(given, keyword.name, keyword.remedy)
        return
    value = given.value
    if option == "boot_disk_gb" and isinstance(value, int) and value < _SMALLEST_DISK:
        draft.note(given, keyword.name, f"leave it out: disks of Vertex AI have {_SMALLEST_DISK} "
                   "GB or more")  # fmt: skip
    elif isinstance(value, bool):
        if value:
            draft.set(option)
    elif isinstance(value, list) and value and all(is_text(each) for each in value):
        draft.set(option, *value)
    elif isinstance(value, (str, int, float, Text, Unknown)):
        draft.set(option, draft.target.url(value) if keyword.url else value)
    else:
        draft.note(given, keyword.name, "is no value that a command line can give")


def option_of(keyword: Keyword, target: Target) -> str | None:
    """Return the field of the flag that an argument becomes at a place, or None."""
    if keyword.option in options_of(SubmitOptions) or target.place == "sagemaker":
        return keyword.option
    return keyword.vertex if target.place == "vertex" else None


def _image(draft: Draft, given: Given) -> None:
    if isinstance(given.value, str) and not _THEIRS.search(given.value):
        draft.set("image", given.value)
        if "trainer" not in given.value.rpartition("/")[2]:
            draft.note(given, "image_uri", "it has to be the trainer's image, or one built on it: "
                       "docs/image.md")  # fmt: skip
        return
    image = image_at(draft.target.place)
    draft.set("image", image)
    draft.note(given, "image_uri", "the trainer's image takes its place: "
               f"{image.source.rpartition(': ')[2]}")  # fmt: skip


def _hyperparameters(draft: Draft, given: Given) -> None:
    if isinstance(given.value, dict):
        add_hyperparameters(draft, given.value, given)
    elif isinstance(given.value, str):
        draft.note(given, "hyperparameters", "give those of this file behind --")
    else:
        draft.note(given, "hyperparameters", "they exist only while the script runs: give them "
                   "behind --")  # fmt: skip


def _environment(draft: Draft, given: Given) -> None:
    if isinstance(given.value, dict):
        draft.set_pairs("env", {str(n): v for n, v in given.value.items()}, given.line)
    else:
        draft.note(given, "environment", "exists only while the script runs: --env NAME=VALUE")


def add_tags(draft: Draft, given: Given) -> None:
    """Add tags, which are a list of keys and values, or in newer versions a dict as well."""
    pairs: dict[str, Any] = {}
    if isinstance(given.value, dict):
        pairs = {str(name): value for name, value in given.value.items()}
    for each in given.value if isinstance(given.value, list) else ():
        if isinstance(each, Made):
            each = {"Key": each.value("key"), "Value": each.value("value")}
        if isinstance(each, dict) and isinstance(each.get("Key"), str):
            pairs[each["Key"]] = each.get("Value", "")
    # It is the trainer's own, which it sets itself.
    pairs = {n: v for n, v in pairs.items() if (n, v) != ("created-by", "trainer")}
    if pairs:
        draft.set_pairs("tags", pairs, given.line)
    elif not given.value:
        draft.note(given, "tags", "exist only while the script runs: --tags NAME=VALUE")


def _strategy_of(name: str) -> str | None:
    """Return the strategy whose switch the SDK sets for a key of `distribution`."""
    switch = f"sagemaker_{name}_enabled"
    found = strategies_where(lambda spec: spec.sagemaker_switch == switch)
    return found[0] if found else None


def _distribution(draft: Draft, given: Given) -> None:
    """Choose the strategy that `distribution={"mpi": {"enabled": True}}` or the like asks for."""
    found = given.value
    if not isinstance(found, dict):
        draft.note(given, "distribution", _NO_DISTRIBUTION)
        return
    for name, settings in found.items():
        settings = settings if isinstance(settings, dict) else {}
        on = settings.get("enabled")
        if on is not None and on is not True and is_known(on):
            continue
        strategy = _strategy_of(str(name))
        if strategy is None:
            if name != "instance_groups":
                draft.note(given, f"distribution {name}", _NO_DISTRIBUTION)
            continue
        draft.fields["distribution"] = strategy
        if "processes_per_host" in settings:
            each = Given(value=settings["processes_per_host"], source="", line=given.line)
            add_field(draft, "processes_per_host", each, name="processes_per_host")
        if settings.get("custom_mpi_options"):
            draft.note(given.line, "custom_mpi_options", "mpirun is not used; settings of NCCL and "
                       "Horovod are variables: --env NAME=VALUE")  # fmt: skip


def _session(draft: Draft, given: Given) -> None:
    """Take region and profile from `Session(boto3.Session(region_name=…))`."""
    made = given.value
    for _ in range(3):
        if not isinstance(made, Made):
            return
        if made.kind == "LocalSession":
            draft.set("local")
        for name, option in (("region_name", "region"), ("profile_name", "profile")):
            if made.value(name) is not None and draft.target.place == "sagemaker":
                draft.set(option, made.value(name))
        made = made.value("boto_session")


def _log_level(draft: Draft, given: Given) -> None:
    name = given.source.rpartition(".")[2]
    value = given.value if isinstance(given.value, int) else None
    level = _LEVELS.get(value, name) if value is not None else name
    draft.fields["verbosity"] = {"WARNING": "WARN", "CRITICAL": "FATAL"}.get(level, level)


def _not_piped(draft: Draft, given: Given) -> Given:
    """Take FastFile mode in the place of Pipe mode, which is not there."""
    if given.value != "Pipe" or not draft.target.has("input_mode"):
        return given
    draft.note(given, "input_mode", "FastFile takes its place: data is read from S3 during the "
               "training, as with Pipe")  # fmt: skip
    return dataclasses.replace(given, value="FastFile")


def _training_mode(draft: Draft, given: Given) -> None:
    """Run the job in a container here, as version 3's `Mode.LOCAL_CONTAINER` does."""
    if given.source.endswith("LOCAL_CONTAINER"):
        draft.set("local")


def _steps(draft: Draft, given: Given) -> None:
    add_field(draft, "steps", given, name="training_steps")


def _checkpoints(draft: Draft, given: Given) -> None:
    value = draft.target.url(given.value)
    if isinstance(value, str):
        draft.fields["checkpoint_dir"] = value
    else:
        draft.open["checkpoint_dir"] = value


def _tensorboard(draft: Draft, given: Given) -> None:
    """Write for TensorBoard: SageMaker brings it to a folder of the job below --output."""
    draft.fields["log_dir"] = "logs"


def _name(draft: Draft, given: Given) -> None:
    draft.set("base_job_name", given.value)


def _model_dir(draft: Draft, given: Given) -> None:
    if given.value not in (False, "/opt/ml/model"):
        draft.note(given, "model_dir", "leave it out: the model goes to --output, and checkpoints "
                   "to --checkpoint-dir")  # fmt: skip


def _code(draft: Draft, given: Given) -> None:
    """Leave a script and its folder to `user_code`, which needs both."""


SPECIAL: Mapping[str, Callable[[Draft, Given], None]] = {
    "image_uri": _image, "instance_type": add_instance_type, "instance_groups": add_groups,
    "hyperparameters": _hyperparameters, "environment": _environment, "tags": add_tags,
    "distribution": _distribution, "sagemaker_session": _session,
    "container_log_level": _log_level, "training_steps": _steps,
    "checkpoint_s3_uri": _checkpoints, "checkpoint_path": _checkpoints,
    "tensorboard_output_config": _tensorboard, "base_job_name": _name,
    "model_dir": _model_dir,
    "training_mode": _training_mode, "entry_point": _code, "source_dir": _code,
}  # fmt: skip
