"""Endpoints and batch jobs of a script as commands of `trainer deploy`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trainer.migration.commands import Flag, ShellCommand
from trainer.migration.draft import Draft
from trainer.migration.estimator import add_tags, image_at
from trainer.migration.machines import machine_like
from trainer.migration.target import Target
from trainer.migration.values import Given, Made, Unknown, Use, is_text, parts_of

_ROLE = Unknown(name="role", source="role that SageMaker may assume for the endpoint", line=0)
# Arguments of `deploy` and `transformer`, by the options of `trainer deploy`.
OPTIONS: Mapping[str, str] = {
    "initial_instance_count": "count", "instance_count": "count", "endpoint_name": "name",
    "kms_key": "kms_key", "output_kms_key": "kms_key",
}  # fmt: skip
# Arguments without which nothing is lost.
_QUIET = (
    "wait", "logs", "serializer", "deserializer", "content_type", "accept", "split_type",
    "assemble_with", "role", "job_name", "output_path", "data", "data_type", "update_endpoint",
    "model_name", "model_data", "image_uri", "image", "name", "sagemaker_session", "predictor_cls",
    "experiment_config",
)  # fmt: skip
_TYPES = {"text/csv": "csv", "application/jsonlines": "jsonl", "application/json": "jsonl",
          "application/x-npy": "npy", "image/png": "png", "image/jpeg": "jpeg"}  # fmt: skip
_REMEDIES = {
    "accelerator_type": "Elastic Inference is no more: choose instances with a GPU",
    "data_capture_config": "set it on the endpoint configuration in the console",
    "async_inference_config": "use --batch INPUT OUTPUT",
    "entry_point": "put it as inference.py into a folder, and name that by --code DIR",
    "dependencies": "put them beside inference.py, into the folder of --code",
    "strategy": "leave it out: the batch job forms batches itself",
    "max_payload": "leave it out: the batch job forms batches itself",
    "framework_version": "leave it out: the image brings its own TensorFlow",
    "py_version": "leave it out: the image brings its own Python",
}
_NO_FLAG = "trainer deploy has no flag for it: docs/deploy.md"


def deploy_command(
    target: Target, model: Any, use: Use, *, shared: Mapping[str, Flag], about: str
) -> tuple[ShellCommand, Draft]:
    """Return the command that makes an endpoint, and the draft that has what it leaves out.

    Args:
        target: Where to.
        model: The job or the address that the model is of.
        use: The call of `deploy`.
        shared: Flags of the job's own command by option, of which some hold here, too.
        about: What the command does.
    """
    place = target.place if target.place in ("sagemaker", "vertex") else "docker"
    if use.given.get("instance_type") and use.given["instance_type"].value in (
        "local", "local_gpu",
    ):  # fmt: skip
        place = "docker"
    draft = Draft(target=Target(place=place, bucket=target.bucket), line=use.line)
    draft.set("to", place)
    names = ("image", "region", "profile", "role") if place == "sagemaker" else ("image",)
    draft.flags |= {name: shared[name] for name in names if name in shared}
    if place != "docker" and "image" not in draft.flags:
        draft.set("image", image_at(place))
    if place == "sagemaker" and "role" not in draft.flags:
        draft.set("role", _ROLE)
    for name, given in use.given.items():
        _add(draft, name, given)
    _add_code(draft, use.given)
    if place == "vertex" and str(parts_of(model)[0]).startswith("s3://"):
        # Vertex AI takes models from Cloud Storage alone.
        draft.set("artifacts", target.url("s3://bucket/models"))
    flags = (Flag(name="", values=(model,)), *draft.flags.values())
    return ShellCommand(verb="trainer deploy", flags=flags, about=about, line=use.line), draft


def _add(draft: Draft, name: str, given: Given) -> None:
    place = draft.target.place
    if given.value is None or name in ("entry_point", "source_dir"):
        return
    if name in _SPECIAL and _SPECIAL[name](draft, given):
        return
    if name in OPTIONS and (place != "docker" or name == "endpoint_name"):
        draft.set(OPTIONS[name], given.value)
    elif name not in (*_QUIET, *OPTIONS):
        draft.note(given, name, _REMEDIES.get(name, _NO_FLAG))


def _add_serverless(draft: Draft, given: Given) -> bool:
    if not isinstance(given.value, Made):
        return False
    draft.set("serverless")
    members = (("memory_size_in_mb", "memory_mb"), ("max_concurrency", "max_concurrency"))
    for member, option in members:
        if given.value.value(member) is not None:
            draft.set(option, given.value.value(member))
    return True


def _add_network(draft: Draft, given: Given) -> bool:
    if not isinstance(given.value, dict) or draft.target.place != "sagemaker":
        return False
    for member, option in (("Subnets", "subnets"), ("SecurityGroupIds", "security_groups")):
        if isinstance(given.value.get(member), list):
            draft.set(option, *given.value[member])
    return True


def _add_env(draft: Draft, given: Given) -> bool:
    if isinstance(given.value, dict):
        draft.set_pairs("env", {str(n): v for n, v in given.value.items()}, given.line)
    return isinstance(given.value, dict)


def _add_tags(draft: Draft, given: Given) -> bool:
    if draft.target.place != "docker":
        add_tags(draft, given)
    return True


def _add_update(draft: Draft, given: Given) -> bool:
    if given.value is True:
        draft.set("update")
    return True


def _add_code(draft: Draft, given: Mapping[str, Given]) -> None:
    """Name the folder with the code that stands before and after the model."""
    entry, folder = given.get("entry_point"), given.get("source_dir")
    if folder and entry and entry.value == "inference.py" and is_text(folder.value):
        draft.set("code", folder.value)
    elif entry and entry.value is not None:
        draft.note(entry, "entry_point", _REMEDIES["entry_point"])


def _add_machine(draft: Draft, given: Given) -> bool:
    value = given.value
    if draft.target.place == "sagemaker":
        draft.set("instance_type", value)
    elif draft.target.place == "vertex":
        machine = machine_like(value) if isinstance(value, str) else None
        if machine is None:
            draft.note(given, "instance_type", "choose a machine by --machine-type")
            return True
        draft.flags["instance_type"] = Flag(name="--machine-type", values=(machine.machine_type,))
        if machine.accelerator_type:
            draft.set("accelerator", f"{machine.accelerator_type}:{machine.gpus}")
        draft.note(given, "instance_type", "a machine of about that size is taken; compare prices")
    return True


_SPECIAL: Mapping[str, Callable[[Draft, Given], bool]] = {
    "instance_type": _add_machine, "serverless_inference_config": _add_serverless,
    "vpc_config": _add_network, "env": _add_env, "tags": _add_tags, "update_endpoint": _add_update,
}  # fmt: skip


def batch_command(
    target: Target, model: Any, made: Made, use: Use, *, shared: Mapping[str, Flag], about: str
) -> tuple[ShellCommand, Draft]:
    """Return the command of a batch job, `transformer(…)` and `transform(…)`, and its draft.

    Args:
        target: Where to.
        model: The job or the address that the model is of.
        made: The transformer.
        use: The call of its `transform`.
        shared: As of `deploy_command`.
        about: What the command does.
    """
    given = {**made.given, **use.given}
    data = given["data"].value if "data" in given else None
    output = given["output_path"].value if "output_path" in given else None
    merged = Use(made=made, method="transform", given=given, line=use.line)
    command, draft = deploy_command(target, model, merged, shared=shared, about=about)
    flags = [*command.flags]
    if target.place in ("sagemaker", "vertex") and is_text(data):
        answers = output if is_text(output) else shared.get("output", Flag(name="")).values[:1]
        answers = answers[0] if isinstance(answers, tuple) and answers else answers or "OUTPUT"
        flags.append(Flag(name="--batch", values=(target.url(data), target.url(answers))))
        kind = given["content_type"].value if "content_type" in given else None
        if kind in _TYPES:
            flags.append(Flag(name="--batch-type", values=(_TYPES[kind],)))
    else:
        draft.note(use.line, "transform", "use --batch INPUT OUTPUT, or trainer predict NAME FILES "
                   "--out FILE")  # fmt: skip
    return ShellCommand(verb=command.verb, flags=tuple(flags), about=about, line=use.line), draft
