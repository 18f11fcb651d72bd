"""Parquet files: only the columns that are needed, a row group at a time."""

from __future__ import annotations

import bisect
import itertools
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.config import DataError
from trainer.data.formats.arrow import arrow_errors
from trainer.data.formats.column_images import Rows, image_columns
from trainer.data.formats.column_labels import LabelColumn
from trainer.data.formats.column_table import ColumnTable, filled, share_range
from trainer.data.formats.columns import ColumnLayout, column_layout, columns_of
from trainer.data.formats.format import Estimate, Format
from trainer.data.formats.kept_groups import KEPT_GROUPS
from trainer.data.formats.parquet_file import MAGIC, open_parquet
from trainer.data.formats.spool import Spool

if TYPE_CHECKING:
    from trainer.data.formats.read_options import ReadOptions
    from trainer.data.formats.table import Table

SAMPLE_RECORDS = 256
# Records unpacked at a time, or as many as take so many bytes in the file before compression.
BATCH_RECORDS = 1024
BATCH_BYTES = 16 << 20
# Bytes of a row group that is unpacked in memory; larger ones are unpacked to disk.
GROUP_BYTES = 64 << 20


class ParquetTable(ColumnTable):
    """The labelled images of one Parquet file.

    Row groups that fit are unpacked in memory, and the last ones stay there. One that is wanted
    again later, as streaming in random order does, or one that is large, is unpacked to disk once.

    Args:
        path: The file.
        options: How to read it.

    Raises:
        DataError: It is damaged, or has no labels or images where they are looked for.
    """

    kind = "parquet"

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path = path
        with arrow_errors(path, kind="Parquet"):
            self._opened = open_parquet(path)
            self._file, self._groups = self._opened.file, self._opened.groups
            layout = column_layout(
                columns_of(self._file.schema_arrow), where=str(path), options=options
            )
            self._columns = [column.name for column in layout.images]
            sample = self._sample()
            images = image_columns(layout, sample, path=path, options=options)
            labels, names = self._labels(str(path), layout)
        super().__init__(path, images)
        self.labels, self.class_names = labels, names
        self._lock = threading.Lock()
        weakref.finalize(self, KEPT_GROUPS.drop, id(self)).atexit = False
        self._visited: set[int] = set()
        self._spool: Spool | None = None
        self._spooled: dict[int, int] = {}

    def rows(self, start: int, stop: int) -> Rows:
        """See `ColumnTable.rows`."""
        parts: list[Any] = []
        with self._lock, arrow_errors(self.path, kind="Parquet"):
            while start < stop:
                group = bisect.bisect_right(self._groups, start) - 1
                first = self._groups[group]
                end = min(stop, self._groups[group + 1])
                parts.append(self._read(group, start - first, end - first))
                start = end
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if self.images.width else list(itertools.chain(*parts))

    def _read(self, group: int, start: int, stop: int) -> Rows:
        """Return some rows of one row group."""
        if (at := self._spooled.get(group)) is not None:
            assert self._spool is not None
            return self._spool.read(at + start, at + stop)
        kept = KEPT_GROUPS.get((id(self), group))
        if kept is None:
            size = self._size(group)
            if (size > GROUP_BYTES or group in self._visited) and self._spool_group(group, size):
                return self._read(group, start, stop)
            parts: list[Any] = list(self._unpack(group))
            kept = np.concatenate(parts) if self.images.width else list(itertools.chain(*parts))
            self._check(group, len(kept))
            self._visited.add(group)
            KEPT_GROUPS.put((id(self), group), kept)
        return kept[start:stop]

    def _spool_group(self, group: int, size: int) -> bool:
        """Unpack a row group to disk, and return whether there was room for it."""
        self._spool = spool = self._spool or Spool(self.images.width)
        if not spool.has_room(size):
            return False
        at = len(spool)
        for rows in self._unpack(group):
            spool.append(rows)
        self._check(group, len(spool) - at)
        self._spooled[group] = at
        return True

    def _unpack(self, group: int) -> Iterator[Rows]:
        """Yield the rows of a row group in parts."""
        first = self._groups[group]
        size = self._fitting(group, BATCH_RECORDS)
        for batch in self._opened.batches(self._columns, group, size=size):
            yield self.images.rows(_arrays(batch, self._columns), first)
            first += batch.num_rows

    def _fitting(self, group: int, most: int) -> int:
        """Return how many records of a row group to unpack at a time."""
        # Of all columns: pyarrow ends the process where it is asked about a damaged one of them.
        about = self._file.metadata.row_group(group)
        return max(1, min(most, BATCH_BYTES * about.num_rows // max(1, about.total_byte_size)))

    def _size(self, group: int) -> int:
        """Return how many bytes the images of a row group take, about."""
        records = self._groups[group + 1] - self._groups[group]
        return records * self.images.width or self._file.metadata.row_group(group).total_byte_size

    def _check(self, group: int, count: int) -> None:
        if count != self._groups[group + 1] - self._groups[group]:
            raise self._short(group, count)

    def _short(self, group: int, count: int) -> DataError:
        return DataError(
            subject=self.path,
            problem=f"row group {group} has {count} records, its footer says "
            f"{self._groups[group + 1] - self._groups[group]}",
            remedy="fetch or write it again",
        )

    def _sample(self) -> list[Any]:
        """Return the columns of images of some records: of the first row group and of the last."""
        import pyarrow as pa

        filled = [g for g, (a, b) in enumerate(itertools.pairwise(self._groups)) if a < b]
        batches = []
        for group in dict.fromkeys(filled[:1] + filled[-1:]):
            size = self._fitting(group, SAMPLE_RECORDS)
            batch = next(self._opened.batches(self._columns, group, size=size), None)
            if batch is None:
                raise self._short(group, 0)
            batches.append(batch)
        pieces = [_arrays(batch, self._columns) for batch in batches]
        return [pa.concat_arrays(list(each)) for each in zip(*pieces, strict=True)]

    def _labels(self, where: str, layout: ColumnLayout) -> tuple[np.ndarray, tuple[str, ...]]:
        found = LabelColumn(layout.label, where=where)
        for group in range(len(self._groups) - 1):
            count = 0
            for batch in self._opened.batches([layout.label.name], group, size=1 << 16):
                found.add(batch.column(0))
                count += batch.num_rows
            self._check(group, count)
        return found.finish()


def _arrays(batch: Any, names: Sequence[str]) -> list[Any]:
    """Return columns in the order of `names`: a file gives them in its own."""
    return [batch.column(batch.schema.get_field_index(name)) for name in names]


class ParquetFormat(Format):
    """Parquet files with a column of labels."""

    name = "parquet"
    title = "Parquet"
    suffixes = (".parquet", ".pq")
    is_companion = True

    def matches(self, head: bytes) -> bool:
        return head.startswith(MAGIC)

    def open_all(
        self, files: Sequence[tuple[Path, Path | None]], options: ReadOptions
    ) -> list[Table]:
        tables = [ParquetTable(path, options) for path, _ in files]
        share_range(tables)
        return filled(tables)

    def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
        return ParquetTable(path, options)

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate:
        count = 0
        for path in files:
            with arrow_errors(path, kind="Parquet"):
                count += open_parquet(path).groups[-1]
        return Estimate(count, exact=True)


FORMAT = ParquetFormat()
