"""The data that a script gives an estimator, as the trainer's --train, --validation and --test."""

from __future__ import annotations

from typing import Any

from trainer.migration.draft import Draft
from trainer.migration.values import Given, Made, is_text, parts_of, simplified

# Fields of the job by the names that channels have; others than these the trainer does not read.
FIELDS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "eval": "test",
    "evaluation": "test", "validation": "validation", "val": "validation", "model": "input",
}  # fmt: skip
_CODE = ("code", "sm_drivers")
UNREAD = (
    "the trainer reads train, validation and test: give its address to one of these flags, or read "
    "it in input_fn of a module"
)
_NO_PIPE = "FastFile takes its place: data is read from S3 during the training, as with Pipe"
# The options of a channel that the trainer has no flag for, and what the user does instead.
_OPTIONS = {
    "compression": "leave it out: compressed files are read as they are",
    "record_wrapping": "convert the data with trainer data create: RecordIO is not read",
    "shuffle_config": "leave it out: the trainer shuffles by --seed",
    "attribute_names": "name the columns by --feature behind --",
    "target_attribute_name": "name the column by --feature label=NAME behind --",
    "instance_groups": "all groups get all data",
}
_S3_PREFIX = ("S3Prefix", None)


def add_inputs(draft: Draft, given: Given) -> dict[str, Any]:
    """Add the data of a job to its command.

    Args:
        draft: The command.
        given: The argument of `fit`: an address, a channel, or channels by name.

    Returns:
        The address of each channel.
    """
    value = given.value
    if isinstance(value, list):
        channels = dict(_named(draft, each, given) for each in value)
    elif isinstance(value, dict):
        channels = value
    else:
        channels = {"training": value}
    addresses: dict[str, Any] = {}
    for name, held in channels.items():
        url = _address(draft, str(name), held, given)
        if url is not None:
            addresses[str(name)] = url
    by_field: dict[str, list[Any]] = {}
    for name, url in addresses.items():
        stem, _, number = name.rpartition("-")
        channel = stem if number.isdecimal() and stem in addresses else name
        if channel in FIELDS:
            by_field.setdefault(FIELDS[channel], []).append(url)
        elif not channel.startswith(_CODE):
            draft.note(given.line, f"channel {name}", UNREAD)
    for field, urls in by_field.items():
        _add_data(draft, field, urls)
    return addresses


def _add_data(draft: Draft, field: str, urls: list[Any]) -> None:
    if field == "input":
        if not draft.fields.get("import_model"):
            # A model beside data to train on: the trainer begins anew.
            return
        urls = urls[:1]
    if field in draft.fields or field in draft.open:
        return
    if all(isinstance(url, str) for url in urls):
        draft.fields[field] = urls[0] if field == "input" else tuple(urls)
    else:
        draft.open[field] = urls


def _named(draft: Draft, channel: Any, given: Given) -> tuple[str, Any]:
    """Return name and source of a channel of version 3 of the SDK."""
    if not isinstance(channel, Made):
        return "training", channel
    return str(channel.value("channel_name") or "training"), channel


def _address(draft: Draft, name: str, held: Any, given: Given) -> Any:
    """Return the address of a channel; None, with a note, where it has none in S3."""
    while isinstance(held, Made) and held.value("data_source", "s3_data_source") is not None:
        _add_options(draft, name, held)
        held = held.value("data_source", "s3_data_source")
    if isinstance(held, Made):
        if held.kind == "FileSystemInput":
            draft.note(given.line, f"channel {name}", "copy the file system's data to S3 by "
                       "trainer data sync, and give the address behind --")  # fmt: skip
            return None
        _add_options(draft, name, held)
        held = held.value("s3_data", "s3_uri")
    if not is_text(held) or held == "":
        draft.note(given.line, f"channel {name}", "has no address: add one by --train, "
                   "--validation or --test")  # fmt: skip
        return None
    first, *rest = parts_of(held)
    if isinstance(first, str) and first.startswith("file://"):
        return simplified([first.removeprefix("file://").removeprefix("./"), *rest])
    moved = draft.target.url(held)
    if moved != held:
        draft.moved.append((held, moved))
    return moved


def _first(made: Made, *names: str) -> Given:
    return next(made.given[name] for name in names if name in made.given)


def _add_options(draft: Draft, name: str, made: Made) -> None:
    how = made.value("distribution", "s3_data_distribution_type")
    if how == "ShardedByS3Key" and name.partition("-")[0] in ("train", "training"):
        draft.fields.setdefault("shard_by", "host")
    elif how == "ShardedByS3Key":
        draft.note(_first(made, "distribution", "s3_data_distribution_type"),
                   f"channel {name}: distribution", "leave it out: every host gets all of it, and "
                   "reads its own part")  # fmt: skip
    mode = made.value("input_mode")
    if mode == "Pipe":
        draft.note(made.given["input_mode"], f"channel {name}: input_mode", _NO_PIPE)
        mode = "FastFile"
    if isinstance(mode, str) and draft.target.has("input_mode"):
        draft.set("input_mode", mode)
    if made.value("s3_data_type") not in _S3_PREFIX:
        draft.note(made.given["s3_data_type"], f"channel {name}: s3_data_type", "give the folder "
                   "or a glob of the files that the manifest lists")  # fmt: skip
    for option, remedy in _OPTIONS.items():
        if made.value(option) not in (None, "None"):
            draft.note(made.given[option], f"channel {name}: {option}", remedy)
