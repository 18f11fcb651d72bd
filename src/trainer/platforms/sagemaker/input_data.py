"""The data of a job as SageMaker's channels, and where the container finds it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.config import Job, UserError, flag_of
from trainer.platforms.sagemaker import limits

DATA = "/opt/ml/input/data"
# The fields that are read as data, each with the channel of that name.
FIELDS = {"train": "train", "validation": "validation", "test": "test", "input": "model"}
# The files of a user's own, which lie in one channel; the SDK's version 3 calls it so, too.
CODE = "code"
FILES = ("module", "classes")
_WILD = re.compile(r"[*?[]")
# Arrays and IDX files have their labels in another file of the same folder.
_PAIRED = re.compile(r"(\.npy|-ubyte)(\.\w+)?$")
# An address with such an end is a file, any other a folder.
_FILE = re.compile(
    r"\.(tfrecords?|csv|tsv|parquet|pq|npz|gz|zst|bz2|xz|zip|tar|tgz|png|jpe?g|webp|bmp|keras|h5)$",
    re.IGNORECASE,
)
# A single file that `trainer.backends` has uploaded, into a folder of its own.
_UPLOADED = re.compile(r"(.*/data/[0-9a-f]{16})/[^/]+")


@dataclass(frozen=True, kw_only=True)
class Channel:
    """Objects that SageMaker copies or mounts into the container before the training.

    Attributes:
        name: The channel, a folder below /opt/ml/input/data.
        uri: The prefix of the objects in S3.
        sharded: True if each host gets other objects.
    """

    name: str
    uri: str
    sharded: bool = False

    @property
    def folder(self) -> str:
        """The folder of the container in which its files lie."""
        return f"{DATA}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class InputData:
    """The channels of a job, and the values in the container of the fields that are paths.

    Attributes:
        channels: The channels.
        places: The fields whose values differ in the container; None for those that the channel of
            that name sets.
    """

    channels: tuple[Channel, ...] = ()
    places: Mapping[str, Any] = field(default_factory=dict)


def input_data(job: Job, *, hosts: int) -> InputData:
    """Return the channels for the data of a job that lies in S3.

    What lies elsewhere on the network is left to the trainer in the container.

    Args:
        job: The job, whose local files have been given addresses in S3.
        hosts: How many hosts train.

    Raises:
        UserError: A path is of this machine, or the addresses are too many.
    """
    channels: list[Channel] = []
    places: dict[str, Any] = {}
    for name, channel in FIELDS.items():
        value = getattr(job, name)
        if not value or (name == "input") is not job.import_model:
            continue
        paths = (value,) if isinstance(value, str) else value
        sharded = name == "train" and job.shard_by == "host" and hosts > 1
        added, inside = _channels(name, channel, paths, sharded=sharded)
        channels += added
        several = inside != (f"{DATA}/{channel}",)
        found = inside[0] if isinstance(value, str) else inside
        places[name] = found if several else None
    alone = next((name for name in ("test", "validation") if getattr(job, name)), None)
    if channels and alone and not job.train and not job.import_model:
        raise UserError(
            subject=flag_of(alone), problem="SageMaker gets data to evaluate on, but none to train "
            "on", remedy="give --train too",
        )  # fmt: skip
    for name in FILES:
        url = getattr(job, name) or ""
        if "://" not in url and Path(url).is_file():
            raise _not_there(f"{flag_of(name)} {url}")
        if url.startswith("s3://"):
            folder, file = _code(url)
            own = next((each for each in channels if each.uri == f"{folder}/"), None)
            if own is None:
                taken = any(each.name == CODE for each in channels)
                own = Channel(name=f"{CODE}-{name}" if taken else CODE, uri=f"{folder}/")
                channels.append(own)
            places[name] = f"{own.folder}/{file}"
    limits.check_count("channels of data", len(channels), limits.CHANNELS)
    return InputData(channels=tuple(channels), places=places)


def _channels(
    name: str, channel: str, paths: tuple[str, ...], *, sharded: bool
) -> tuple[list[Channel], tuple[str, ...]]:
    """Return the channels of one field, and its paths in the container."""
    found: list[Channel] = []
    inside: list[str] = []
    for path in paths:
        subject = f"{flag_of(name)} {path}"
        if not path.startswith("s3://"):
            if "://" not in path:
                raise _not_there(subject)
            inside.append(path)
            continue
        prefix, pattern = _split(path)
        own = f"{channel}-{len(found) + 1}" if found else channel
        known = next((each for each in found if each.uri == prefix), None)
        if known is None:
            limits.check_text(subject, prefix, limits.URI, r"s3://[^/]+/?.*", "s3://BUCKET/FOLDER")
            known = Channel(name=own, uri=prefix, sharded=sharded)
            found.append(known)
        inside.append(f"{known.folder}/{pattern}" if pattern else known.folder)
    return found, tuple(inside)


def _not_there(subject: str) -> UserError:
    """Return what is wrong with a path of this machine that has no address in S3."""
    return UserError(
        subject=subject, problem="is a path of this machine",
        remedy="give --output s3://BUCKET/FOLDER, to which it is then uploaded",
    )  # fmt: skip


def _code(url: str) -> tuple[str, str]:
    """Return the folder in which all that a file imports lies, and the file's name in it."""
    uploaded = re.search(r"(.*/code/[0-9a-f]{16})/(.+)", url)
    if uploaded:
        return uploaded[1], uploaded[2]
    folder, _, file = url.rpartition("/")
    return folder, file


def _split(url: str) -> tuple[str, str]:
    """Return the prefix that a channel takes, and the pattern below its folder.

    SageMaker takes all objects whose names begin with the prefix: without a slash at its end,
    `s3://bucket/mnist` would bring those of `s3://bucket/mnist-old` as well.
    """
    parts = url.split("/")
    # The bucket is the third.
    wild = next((i for i, part in enumerate(parts) if i > 2 and _WILD.search(part)), None)
    one = len(parts) > 3 and (_PAIRED.search(parts[-1]) or _UPLOADED.fullmatch(url))
    if wild is None and one:
        wild = len(parts) - 1
    if wild is not None:
        return "/".join(parts[:wild]) + "/", "/".join(parts[wild:])
    return url if url.endswith("/") or _FILE.search(url) else f"{url}/", ""
