"""Endpoints and batch jobs of Google's SDK as commands of `trainer deploy`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trainer.migration.commands import Flag, ShellCommand
from trainer.migration.draft import Draft
from trainer.migration.estimator import image_at
from trainer.migration.followed import Followed
from trainer.migration.target import Target
from trainer.migration.values import Given, Made, Text, Unknown, Use, is_text

# Objects that are models: what `Model.upload` and `run` of a training job return.
MODELS = ("upload", "run")
SERVING = ("deploy", "batch_predict")
OPTIONS: Mapping[str, str] = {
    "min_replica_count": "count", "starting_replica_count": "count",
    "max_replica_count": "max_count", "deployed_model_display_name": "name",
    "service_account": "role", "network": "network", "encryption_spec_key_name": "kms_key",
    "project": "project", "location": "region",
}  # fmt: skip
# Arguments that only a machine of Vertex AI has, and those without which nothing is lost.
_OF_VERTEX = ("service_account", "network", "encryption_spec_key_name", "project", "location")
_QUIET = (
    "endpoint", "model", "sync", "traffic_split", "traffic_percentage", "job_display_name",
    "predictions_format", "gcs_source", "gcs_destination_prefix", "deploy_request_timeout",
    "instances_format", "create_request_timeout", "accelerator_count", "staging_bucket",
    "credentials", "experiment", "generate_explanation", "deploy_name",
)  # fmt: skip
_NO_FLAG = "trainer deploy has no flag for it: docs/deploy.md"
_FORMATS = ("jsonl", "csv")


def model_of(use: Use) -> Made | None:
    """Return the model that a call deploys, `model.deploy()` or `endpoint.deploy(model)`."""
    given = use.given.get("model") or use.given.get("initial_instance_count")
    for made in (use.made, given.value if given else None):
        if isinstance(made, Made) and made.kind in MODELS and use.method in SERVING:
            return made
    return None


def is_read(use: Use) -> bool:
    """Return whether a command stands for a call that serves a model."""
    made = model_of(use)
    return made is not None and (made.kind == "run" or made.value("artifact_uri") is not None)


def serving_commands(
    target: Target, followed: Followed, made: Made, model: Any
) -> Iterator[tuple[ShellCommand, Draft]]:
    """Yield the commands for what a script does with a model, and what they leave out.

    Args:
        target: Where the endpoints are to be.
        followed: What the script makes.
        made: The model.
        model: Its address, or the name of its job.
    """
    shared: dict[str, Given] = {}
    for other in followed.made:
        shared |= other.given if other.kind == "init" else {}
    shared = {name: each for name, each in shared.items() if name in ("project", "location")}
    for use in followed.uses:
        if model_of(use) is made and is_text(model):
            yield _command(target, model, use, {**shared, **use.given})


def _command(
    target: Target, model: Any, use: Use, given: Mapping[str, Given]
) -> tuple[ShellCommand, Draft]:
    place = target.place if target.place in ("sagemaker", "vertex") else "docker"
    draft = Draft(target=Target(place=place, bucket=target.bucket), line=use.line)
    draft.set("to", place)
    if place != "docker":
        draft.set("image", image_at(place))
    if place == "sagemaker":
        role = Unknown("role", "role that SageMaker may assume for the endpoint", 0)
        draft.set("role", role)
    for name, each in given.items():
        _add(draft, name, each)
    made = model_of(use)
    image = made.given.get("serving_container_image_uri") if made else None
    if image is not None:
        draft.note(image, "serving_container_image_uri", "the trainer's image takes its place; it "
                   "serves models of TensorFlow alone")  # fmt: skip
    _add_accelerator(draft, given)
    if use.method == "batch_predict":
        _add_batch(draft, use)
    if draft.flags.get("max_count") == Flag(name="--max-count", values=(_count(draft),)):
        del draft.flags["max_count"]
    flags = (Flag(name="", values=(model,)), *draft.flags.values())
    what = "answers files" if use.method == "batch_predict" else "makes an endpoint"
    about = f"{what}, as {use.method} does"
    return ShellCommand(verb="trainer deploy", flags=flags, about=about, line=use.line), draft


def _count(draft: Draft) -> Any:
    return draft.flags["count"].values[0] if "count" in draft.flags else 1


def _add(draft: Draft, name: str, given: Given) -> None:
    place, value = draft.target.place, given.value
    if value is None or isinstance(value, Made) or name in _QUIET:
        return
    if name in ("machine_type", "accelerator_type") and place != "vertex":
        draft.note(given, name, "choose the machines of the new place")
    elif name == "machine_type":
        draft.flags["instance_type"] = Flag(name="--machine-type", values=(value,))
    elif name in OPTIONS and (place == "vertex" or name not in _OF_VERTEX):
        if place != "docker" and isinstance(value, (str, int, Text, Unknown)):
            draft.set(OPTIONS[name], value)
    elif name != "accelerator_type" and name not in _OF_VERTEX:
        draft.note(given, name, _NO_FLAG)


def _add_accelerator(draft: Draft, given: Mapping[str, Given]) -> None:
    kind, count = (
        given[name].value if name in given else None
        for name in ("accelerator_type", "accelerator_count")
    )
    if draft.target.place == "vertex" and isinstance(kind, str):
        draft.set("accelerator", f"{kind}:{count}" if isinstance(count, int) else kind)


def _add_batch(draft: Draft, use: Use) -> None:
    source, to, form = (
        use.given[name].value if name in use.given else None
        for name in ("gcs_source", "gcs_destination_prefix", "instances_format")
    )
    source = source[0] if isinstance(source, list) and len(source) == 1 else source
    if not is_text(source) or not is_text(to) or draft.target.place == "docker":
        draft.note(use.line, "batch_predict", "use --batch INPUT OUTPUT")
        return
    draft.set("batch", source, to)
    if form in _FORMATS:
        draft.set("batch_type", form)
