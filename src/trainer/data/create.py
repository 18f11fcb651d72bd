"""Write labelled images of any format as TFRecord shards, for `trainer data create`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.config import Split, UserError
from trainer.data.adapted import adapted, all_names
from trainer.data.creation import Creation, PlannedShard
from trainer.data.division import Division, stratified
from trainer.data.files import open_tables, splits_in
from trainer.data.fingerprint import fingerprint_of
from trainer.data.folders import scan_path
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.formats.table import Table
from trainer.data.manifest import (
    Manifest,
    split_manifest,
    write_manifest,
)
from trainer.data.shard_file import ShardFile
from trainer.runtime import output

logger = logging.getLogger(__name__)

# Those of the synthetic digits.
SPLITS: tuple[Split, Split] = ("train", "test")


def create_dataset(
    *,
    source: str | None,
    out: Path,
    shards: int = 1,
    packed: bool = False,
    workers: int = 1,
    origin: str | None = None,
    division: Division | None = None,
    reading: ReadOptions = DEFAULTS,
) -> dict[str, list[Path]]:
    """Write each split of a data set as TFRecords, to `out/train` and so on, with a manifest.

    A process that was killed leaves the files that were whole; the next with the same arguments
    writes the others.

    Args:
        source: A folder, file or glob of any format; None for the synthetic digits.
        out: The folder to write to.
        shards: Files for each split.
        packed: True to pack them with gzip.
        workers: Files written at a time.
        origin: The source's name for the manifest, by default its path.
        division: The parts that the training data is divided into; None to keep the splits.
        reading: How the source is read: size and range of its pictures, names of its features.

    Returns:
        The files written, by split; named `train-00000-of-00002.tfrecord` and so on. Data of which
        no name tells a split is written as `train`.

    Raises:
        DataError: The source is missing or damaged.
        UserError: There are fewer examples than shards, `out` cannot be written, or it holds
            other data already.
    """
    if division is None:
        tables = _splits_of(source, reading)
    else:
        tables = _divided(source, division, reading)
    how = "" if reading == DEFAULTS else f" {reading}"
    return write_dataset(
        tables, out=out, shards=shards, packed=packed, workers=workers,
        source=origin or source or "synthetic digits",
        identity=f"{_identity(source)} {division}{how}",
    )  # fmt: skip


def write_dataset(
    tables: Mapping[str, Sequence[Table]],
    *,
    out: Path,
    shards: int,
    packed: bool,
    workers: int,
    source: str,
    identity: str,
) -> dict[str, list[Path]]:
    """Write splits as `create_dataset` does.

    Args:
        tables: The tables of each split.
        out: The folder to write to.
        shards: Files for each split.
        packed: True to pack them with gzip.
        workers: Files written at a time.
        source: Where they come from, for the manifest.
        identity: Text that differs if the same files would have other contents.

    Raises:
        DataError: A record is damaged.
        UserError: As from `create_dataset`.
    """
    written: dict[str, list[Path]] = {}
    planned: list[PlannedShard] = []
    for split, held in tables.items():
        count = sum(map(len, held))
        if count < shards:
            raise UserError(
                subject=f"--shards {shards}",
                problem=f"more than the {count} {split} examples",
            )
        bounds = [count * i // shards for i in range(shards + 1)]
        names = shard_names(split, shards, packed=packed)
        planned += [
            PlannedShard(name=f"{split}/{name}", tables=held, bounds=(start, stop))
            for name, start, stop in zip(names, bounds, bounds[1:], strict=False)
        ]
        written[split] = [out / split / name for name in names]
        _refuse_other_files(out / split, written[split], out=out)
    creation = Creation(out, planned, identity=identity, packed=packed, workers=workers)
    try:
        files = creation.run()
        write_manifest(out, _manifest_of(tables, files, source=source))
    except OSError as error:
        raise UserError(
            subject=f"--out {out}",
            problem=f"cannot be written: {error.strerror}",
        ) from None
    return written


def _splits_of(source: str | None, reading: ReadOptions) -> dict[str, list[Table]]:
    """Open each split that the names in a source tell of; all of it as `train` if none does."""
    if source is None:
        return {split: open_tables([], split=split, options=reading) for split in SPLITS}
    none: list[Split] = ["train"]
    splits = splits_in([source])
    tables: dict[str, list[Table]] = {
        split: open_tables([source], split=split, flag="--source", options=reading)
        for split in splits or none
    }
    if not splits:
        logger.info("no name in %s tells train from test: all of it is written as train", source)
    # A class may be in one split only: all give a name the same label.
    named = ReadOptions(
        class_names=all_names([table for held in tables.values() for table in held])
    )
    return {split: adapted(held, named) for split, held in tables.items()}


def _divided(
    source: str | None, division: Division, reading: ReadOptions
) -> dict[str, list[Table]]:
    """Open the training data of a source, and divide it."""
    paths = [source] if source else []
    tables = open_tables(paths, split="train", flag="SOURCE", options=reading)
    return stratified(tables, dict(division.shares), seed=division.seed)


def _identity(source: str | None) -> str:
    """Return a text that differs between sources of other content, without reading them."""
    if source is None:
        return "synthetic"
    none: list[Split] = ["train"]
    found = [
        fingerprint_of([source], split=split, flag="--source").entries
        for split in splits_in([source]) or none
    ]
    return repr(found)


def _manifest_of(
    tables: Mapping[str, Sequence[Table]], files: Sequence[ShardFile], *, source: str
) -> Manifest:
    """Return the manifest of what was written."""
    first = next(iter(tables.values()))[0]
    names = next((t.class_names for held in tables.values() for t in held if t.class_names), ())
    return Manifest(
        source=output.clean(source),
        shape=first.spec.shape,
        dtype=first.spec.dtype,
        pixel_range=(first.spec.low, first.spec.high),
        class_names=list(names),
        splits={
            split: split_manifest([f for f in files if f.name.startswith(f"{split}/")])
            for split in tables
        },
    )


def _refuse_other_files(folder: Path, ours: list[Path], *, out: Path) -> None:
    """Raise a UserError if a folder holds other data.

    Files of an earlier run with another number of shards would be read together with these.
    """
    others = set(scan_path(folder).files) - set(ours) if folder.is_dir() else set()
    if others:
        raise UserError(
            subject=f"--out {out}",
            problem=f"{folder} holds {min(others).name} already",
            remedy="give an empty folder",
        )


def shard_names(split: str, shards: int, *, packed: bool) -> list[str]:
    end = ".tfrecord.gz" if packed else ".tfrecord"
    return [f"{split}-{shard:05d}-of-{shards:05d}{end}" for shard in range(shards)]
