"""The instances of a script's jobs as the machines of a place."""

from __future__ import annotations

from trainer.migration.draft import Draft
from trainer.migration.machines import gpus_of, machine_like
from trainer.migration.values import Given, Made, is_text


def add_instance_type(draft: Draft, given: Given) -> None:
    """Add the kind of machine, or `--local` for the local mode of the SDK."""
    value = given.value
    if isinstance(value, str) and value in ("local", "local_gpu"):
        draft.set("local")
        return
    place = draft.target.place
    if place == "sagemaker" and is_text(value):
        draft.set("instance_type", value)
        return
    if not isinstance(value, str):
        draft.note(given, "instance_type", "choose the machines of the new place")
        return
    gpus = gpus_of(value)
    if place == "vertex":
        machine = machine_like(value)
        if machine is None:
            draft.note(given, "instance_type", "choose one by --machine-type and "
                       "--accelerator-type")  # fmt: skip
            return
        draft.set("machine_type", machine.machine_type)
        if machine.accelerator_type:
            draft.set("accelerator_type", machine.accelerator_type)
            draft.set("accelerator_count", machine.gpus)
        draft.note(given, "instance_type", "a machine of about that size is taken; compare prices")
    elif gpus and draft.target.has("gpus"):
        draft.set("gpus", gpus if place == "kubernetes" else "all")
    elif place == "kubernetes":
        draft.note(given, "instance_type", "ask for as much by --cpu and --memory")


def add_groups(draft: Draft, given: Given) -> None:
    """Add instances of several kinds."""
    groups = given.value if isinstance(given.value, list) else []
    texts = []
    for each in groups:
        if isinstance(each, Made):
            parts = [each.value(*names) for names in (
                ("instance_group_name",), ("instance_type",), ("instance_count",),
            )]  # fmt: skip
            if all(isinstance(part, (str, int)) for part in parts):
                texts.append(f"{parts[0]}={parts[1]}:{parts[2]}")
    if len(texts) == len(groups) and texts and draft.target.has("instance_groups"):
        draft.set("instance_groups", *texts)
    else:
        draft.note(given, "instance_groups", "give NAME=TYPE:COUNT by --instance-groups, which "
                   "only SageMaker has")  # fmt: skip
