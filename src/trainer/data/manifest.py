"""The manifest of a data set that `trainer data create` wrote: what it holds, with checksums."""

from __future__ import annotations

from pathlib import Path

import msgspec

from trainer.config import UserError
from trainer.data.formats.picture_listing import CLASSES_FILE
from trainer.data.shard_file import ShardFile
from trainer.storage import local

FILE_NAME = "manifest.json"
SCHEMA_VERSION = 1


class SplitManifest(msgspec.Struct, frozen=True, kw_only=True):
    """One split of a data set.

    Attributes:
        examples: The number of its examples.
        labels: The number of examples of each label, by label.
        files: Its files, in the order of the examples.
    """

    examples: int
    labels: list[int]
    files: list[ShardFile]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a data set.

    Attributes:
        schema_version: Of this form.
        source: What it was written from, without secrets.
        shape: Height, width and channels of the images.
        dtype: The NumPy type of a pixel, little-endian in the records.
        pixel_range: The pixel values that a model gets as 0 and 1.
        class_names: The names of the classes by label; empty if the source has none.
        splits: Each split by its name, which is its folder.
    """

    schema_version: int = SCHEMA_VERSION
    source: str
    shape: tuple[int, int, int]
    dtype: str
    pixel_range: tuple[float, float]
    class_names: list[str]
    splits: dict[str, SplitManifest]


def split_manifest(files: list[ShardFile]) -> SplitManifest:
    """Return the manifest of a split that some files make up."""
    labels = [0] * max(len(file.labels) for file in files)
    for file in files:
        for label, count in enumerate(file.labels):
            labels[label] += count
    return SplitManifest(examples=sum(f.examples for f in files), labels=labels, files=files)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, and the names of the classes beside the files if there are any.

    Raises:
        OSError: They cannot be written.
    """
    if manifest.class_names:
        # In each split, so that each is whole where it is named alone.
        for split in manifest.splits:
            names = "".join(f"{name}\n" for name in manifest.class_names)
            local.write_text(folder / split / CLASSES_FILE, names)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    local.write_bytes(folder / FILE_NAME, text + b"\n")


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest in a folder; None if there is none.

    Raises:
        UserError: It is damaged, or of a later version.
    """
    path = folder / FILE_NAME
    try:
        data = path.read_bytes()
    except OSError:
        return None
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise UserError(subject=path, problem=f"is no manifest of a data set: {error}") from None
    if manifest.schema_version > SCHEMA_VERSION:
        raise UserError(
            subject=path,
            problem=f"is of version {manifest.schema_version}, later than {SCHEMA_VERSION}",
            remedy="read it with the trainer that wrote it",
        )
    return manifest
