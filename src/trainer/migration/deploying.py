"""Endpoints and batch jobs of a script as commands of `trainer deploy`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.config import flag_of
from trainer.migration.commands import Flag, LeftOut, ShellCommand
from trainer.migration.estimator import IMAGE
from trainer.migration.machines import machine_like
from trainer.migration.target import Target
from trainer.migration.values import Given, Made, Unknown, Use, is_text

_ROLE = Unknown(name="role", source="role that SageMaker may assume for the endpoint", line=0)
# Arguments of `deploy` and `transformer`, by the options of `trainer deploy`.
OPTIONS: Mapping[str, str] = {
    "initial_instance_count": "count", "instance_count": "count", "endpoint_name": "name",
    "kms_key": "kms_key", "output_kms_key": "kms_key",
}  # fmt: skip
# Arguments without which nothing is lost.
_QUIET = ("wait", "logs", "serializer", "deserializer", "content_type", "accept", "split_type",
          "assemble_with", "strategy", "role", "max_payload", "job_name", "output_path", "data",
          "data_type", "instance_type", "serverless_inference_config", "tags", "env",
          "update_endpoint", "model_name")  # fmt: skip
_TYPES = {"text/csv": "csv", "application/jsonlines": "jsonl", "application/json": "jsonl",
          "application/x-npy": "npy", "image/png": "png", "image/jpeg": "jpeg"}  # fmt: skip
_REMEDIES = {
    "accelerator_type": "Elastic Inference is no more: choose instances with a GPU",
    "data_capture_config": "set it on the endpoint configuration in the console",
    "async_inference_config": "use --batch INPUT OUTPUT",
    "entry_point": "put inference.py into a folder, and name it by --code DIR",
}


def deploy_command(
    target: Target, model: Any, use: Use, *, shared: Mapping[str, Flag], about: str
) -> tuple[ShellCommand, list[LeftOut]]:
    """Return the command that makes an endpoint, and what it does not carry over.

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
    flags: dict[str, Flag] = {"to": Flag(name="--to", values=(place,))}
    notes: list[LeftOut] = []
    names = ("image", "region", "profile", "role") if place == "sagemaker" else ("image",)
    for name in names:
        if name in shared:
            flags[name] = shared[name]
    if place != "docker" and "image" not in flags:
        flags["image"] = Flag(name="--image", values=(IMAGE,))
    if place == "sagemaker" and "role" not in flags:
        flags["role"] = Flag(name="--role", values=(_ROLE,))
    for name, given in use.given.items():
        _add(flags, notes, place, name, given)
    known = Flag(name="", values=(model,))
    return (
        ShellCommand(
            verb="trainer deploy", flags=(known, *flags.values()), about=about, line=use.line
        ),
        notes,
    )


def _add(flags: dict[str, Flag], notes: list[LeftOut], place: str, name: str, given: Given) -> None:
    if given.value is None:
        return
    if name == "instance_type":
        _add_machine(flags, notes, place, given)
    elif name == "serverless_inference_config" and isinstance(given.value, Made):
        flags["serverless"] = Flag(name="--serverless")
        for member, option in (("memory_size_in_mb", "memory_mb"),
                               ("max_concurrency", "max_concurrency")):  # fmt: skip
            if given.value.value(member) is not None:
                values = (given.value.value(member),)
                flags[option] = Flag(name=flag_of(option), values=values)
    elif name == "update_endpoint" and given.value is True:
        flags["update"] = Flag(name="--update")
    elif name in OPTIONS and (place != "docker" or name == "endpoint_name"):
        option = OPTIONS[name]
        flags[option] = Flag(name=flag_of(option), values=(given.value,))
    elif name not in (*_QUIET, *OPTIONS):
        remedy = _REMEDIES.get(name, "trainer deploy has no flag for it: docs/deploy.md")
        notes.append(LeftOut(line=given.line, name=name, source=given.source, remedy=remedy))


def _add_machine(flags: dict[str, Flag], notes: list[LeftOut], place: str, given: Given) -> None:
    value = given.value
    if place == "docker":
        return
    if place == "vertex":
        machine = machine_like(value) if isinstance(value, str) else None
        if machine is None:
            notes.append(LeftOut(line=given.line, name="instance_type", source=given.source,
                              remedy="choose a machine by --machine-type"))  # fmt: skip
            return
        value = machine.machine_type
        if machine.accelerator_type:
            kind = f"{machine.accelerator_type}:{machine.gpus}"
            flags["accelerator"] = Flag(name="--accelerator", values=(kind,))
    flags["instance_type"] = Flag(name="--instance-type", values=(value,))


def batch_command(
    target: Target, model: Any, made: Made, use: Use, *, shared: Mapping[str, Flag], about: str
) -> tuple[ShellCommand, list[LeftOut]]:
    """Return the command of a batch job: `transformer(…)`, then `transform(…)`.

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
    command, notes = deploy_command(target, model, merged, shared=shared, about=about)
    flags = [*command.flags]
    if target.place in ("sagemaker", "vertex") and is_text(data):
        answers = output if is_text(output) else shared.get("output", Flag(name="")).values[:1]
        answers = answers[0] if isinstance(answers, tuple) and answers else answers or "OUTPUT"
        flags.append(Flag(name="--batch", values=(target.url(data), target.url(answers))))
        kind = given["content_type"].value if "content_type" in given else None
        if kind in _TYPES:
            flags.append(Flag(name="--batch-type", values=(_TYPES[kind],)))
    else:
        notes.append(LeftOut(line=use.line, name="transform", remedy="use --batch INPUT OUTPUT, or "
                          "trainer predict NAME FILES --out FILE"))  # fmt: skip
    return ShellCommand(verb=command.verb, flags=tuple(flags), about=about, line=use.line), notes
