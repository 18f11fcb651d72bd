"""Facts of a data set, found by reading each record once: `trainer data inspect`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import DataError, Split
from trainer.data import files
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.formats.table import BLOCK_RECORDS, RUN_RECORDS, Table
from trainer.storage import NO_OPTIONS, StorageOptions, download_objects, is_remote, local_path

# More damaged records than these are counted, but not listed.
MOST_LISTED = 1000


@dataclass(frozen=True, kw_only=True)
class SplitFacts:
    """Facts of one split of a data set.

    Attributes:
        split: `train`, `validation` or `test`; `all` where no name tells them apart.
        kind: The name of its format.
        tables: The names of its files, or pairs of files.
        examples: The number of its sound records.
        shape: Height, width and channels of its images.
        dtype: The type of a pixel.
        pixel_range: The pixel values that the model gets as 0 and 1.
        found_range: The least and the greatest pixel value there are.
        label_counts: The number of examples of each label, by label.
        class_names: The names of the labels; empty if the files do not tell.
        damage: A line for each damaged record, `MOST_LISTED` at most.
        damaged: The number of damaged records.
    """

    split: str
    kind: str
    tables: tuple[str, ...]
    examples: int
    shape: tuple[int, int, int]
    dtype: str
    pixel_range: tuple[float, float]
    found_range: tuple[float, float]
    label_counts: tuple[int, ...]
    class_names: tuple[str, ...]
    damage: tuple[str, ...]
    damaged: int

    def as_json(self) -> dict[str, Any]:
        """Return the facts as JSON has them."""
        return asdict(self)


def inspect_anywhere(
    paths: Sequence[str],
    options: StorageOptions = NO_OPTIONS,
    *,
    reading: ReadOptions = DEFAULTS,
) -> Iterator[tuple[SplitFacts, list[Table]]]:
    """Read each split of a data set as `inspect_splits` does, from disk or from object stores.

    Args:
        paths: As for `inspect_splits`, or urls.
        options: Arguments of the stores' drivers, and limits.
        reading: As for `inspect_splits`.

    Yields:
        As `inspect_splits`.

    Raises:
        UserError: As from `inspect_splits`, or a store refuses.
        StorageError: A store failed again and again.
    """
    with tempfile.TemporaryDirectory(prefix="trainer-", ignore_cleanup_errors=True) as work:
        here = [path if is_remote(path) else local_path(path, flag="PATH") for path in paths]
        here = download_objects(here, Path(work), flag="PATH", options=options)
        for facts, tables in inspect_splits(here, reading):
            yield _with_urls(facts, work), tables


def _with_urls(facts: SplitFacts, work: str) -> SplitFacts:
    """Return facts that name the objects of a store in place of their copies on this machine."""
    copies = re.compile(rf"{re.escape(work)}/(s3|gs)/")
    return replace(
        facts,
        tables=tuple(copies.sub(r"\1://", name) for name in facts.tables),
        damage=tuple(copies.sub(r"\1://", line) for line in facts.damage),
    )


def inspect_splits(
    paths: Sequence[str], reading: ReadOptions = DEFAULTS
) -> Iterator[tuple[SplitFacts, list[Table]]]:
    """Read each split of a data set.

    Args:
        paths: Files, folders and globs; not none.
        reading: How the files are read, but for their damaged records.

    Yields:
        The facts of a split, and its opened tables.

    Raises:
        DataError: Nothing is there, or it is no data of any format.
    """
    none: list[Split] = ["train"]
    named = files.splits_in(paths)
    for split in named or none:
        tables = files.open_tables(
            paths, split=split, flag="PATH", skip_corrupt=2**62, options=reading
        )
        yield _facts(split if named else "all", tables), tables


def _facts(split: str, tables: Sequence[Table]) -> SplitFacts:
    """Read all records of a split."""
    damage = [line for table in tables for line in table.damage]
    counts, low, high = np.zeros(0, np.int64), np.inf, -np.inf
    for table in tables:
        for images, labels in _sound_records(table, damage):
            found = np.bincount(labels, minlength=counts.size)
            found[: counts.size] += counts
            counts = found
            low, high = min(low, float(images.min())), max(high, float(images.max()))
    spec = tables[0].spec
    return SplitFacts(
        split=split,
        kind=tables[0].kind,
        tables=tuple(table.name for table in tables),
        examples=int(counts.sum()),
        shape=spec.shape,
        dtype=spec.dtype,
        pixel_range=(spec.low, spec.high),
        found_range=(low, high) if counts.size else (0.0, 0.0),
        label_counts=tuple(counts.tolist()),
        class_names=next((table.class_names for table in tables if table.class_names), ()),
        damage=tuple(damage[:MOST_LISTED]),
        damaged=len(damage),
    )


def _sound_records(table: Table, damage: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a table's images and labels; add a line to `damage` for each that cannot be read."""
    run = table.spec.records(RUN_RECORDS)
    for start in range(0, len(table), run):
        stop = min(start + run, len(table))
        try:
            yield table.read(start, stop)
        except DataError:
            yield from _one_by_one(table, start, stop, damage)


def _one_by_one(
    table: Table, start: int, stop: int, damage: list[str]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Do the same for a run in which something is damaged."""
    for first in range(start, stop, BLOCK_RECORDS):
        last = min(first + BLOCK_RECORDS, stop)
        try:
            yield table.read(first, last)
            continue
        except DataError:
            pass
        for number in range(first, last):
            try:
                yield table.read(number, number + 1)
            except DataError as error:
                damage.append(str(error))
