"""Parquet files, opened with checks of what their footers say, and read a little at a time."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import DataError
from trainer.data.formats.arrow import import_arrow
from trainer.data.formats.file_reader import FileReader
from trainer.data.formats.parquet_pages import PageCheck

MAGIC = b"PAR1"
# The longest footer that a file may announce.
MOST_FOOTER_BYTES = 256 << 20
# Bytes of a column that are read from disk at a time of files larger than the second figure. Of
# smaller ones, a row group's columns are read whole: then a damaged page cannot ask for 2 GiB.
BUFFER_BYTES = 1 << 20
WHOLE_BYTES = 64 << 20
# Records for each byte of a file: run lengths may pack more of them, but not of images.
MOST_RECORDS_PER_BYTE = 8


class SeekableReader(io.RawIOBase):
    """A file for pyarrow that is opened when it is read, as there may be more than may be open."""

    def __init__(self, path: Path) -> None:
        self._reader, self._at = FileReader(path), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reader.size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._reader.size - self._at)
        raw = self._reader.read(self._at, left if size < 0 else min(size, left))
        self._at += len(raw)
        return raw


@dataclass(frozen=True)
class OpenedParquet:
    """An opened file.

    Attributes:
        file: It, as pyarrow has it.
        groups: Where each row group begins and the last ends, in records.
        pages: Checks pages before they are read; None for a file so small that no page can ask for
            too much memory.
    """

    file: Any
    groups: list[int]
    pages: PageCheck | None

    def table(self, columns: Sequence[str]) -> Any:
        """Return whole columns.

        Raises:
            DataError: A page cannot be what it says.
        """
        if self.pages:
            for group in range(len(self.groups) - 1):
                self.pages.check(group, columns)
        return self.file.read(columns=list(columns), use_threads=False)

    def batches(self, columns: Sequence[str], group: int, *, size: int) -> Iterator[Any]:
        """Yield the records of a row group, some at a time, on this thread alone.

        Raises:
            DataError: A page cannot be what it says.
        """
        if self.pages:
            self.pages.check(group, columns)
        yield from self.file.iter_batches(
            batch_size=size, row_groups=[group], columns=list(columns), use_threads=False
        )


def open_parquet(path: Path) -> OpenedParquet:
    """Open a file.

    Raises:
        DataError: It is cut short, or its footer cannot be true.
    """
    parquet = import_arrow(path, "pyarrow.parquet")
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 8))
        tail = file.read(8)
    footer = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or footer + 12 > size or footer > MOST_FOOTER_BYTES:
        raise DataError(
            subject=path,
            problem="cut short or damaged: it does not end in the footer of a Parquet file",
            remedy="fetch or write it again",
        )
    # Read as it is wanted: mapped, the pages of the file would count as memory of the process.
    reader = FileReader(path)
    pages = None
    if size > WHOLE_BYTES:
        pages = PageCheck(reader, reader.read(size - 8 - footer, footer))
    file = parquet.ParquetFile(
        SeekableReader(path),
        memory_map=False,
        pre_buffer=False,
        buffer_size=BUFFER_BYTES if size > WHOLE_BYTES else 0,
    )
    counts = [file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)]
    if min(counts, default=0) < 0 or sum(counts) > MOST_RECORDS_PER_BYTE * size:
        raise DataError(
            subject=path,
            problem=f"the footer says {sum(counts)} records, which {size} bytes do not hold",
            remedy="fetch or write it again",
        )
    return OpenedParquet(file, [0, *itertools.accumulate(counts)], pages)
