"""The pages of a Parquet file, looked at before pyarrow makes room for what they say they hold.

Of the fields of parquet.thrift (github.com/apache/parquet-format) those that tell where pages
stand and how long they are.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from trainer.config import DataError
from trainer.data.formats.file_reader import FileReader
from trainer.data.formats.protobuf import WireError
from trainer.data.formats.thrift import Struct, read_struct

# A page unpacks to no more than this, or than so many times its length in the file.
MOST_PAGE_BYTES = 256 << 20
MOST_RATIO = 64
# Bytes in which the header of a page is looked for; statistics may make it long.
_HEADERS = (256, 64 << 10, 16 << 20)


@dataclass(frozen=True)
class ColumnChunk:
    """A column's part of a row group.

    Attributes:
        name: Of the column, without what is below it.
        start: The place of its first page.
        stop: The end of its last one.
    """

    name: str
    start: int
    stop: int


class PageCheck:
    """The pages of a file, each row group of which is checked before it is read first.

    Args:
        reader: The file.
        footer: Its footer.

    Raises:
        DataError: The footer cannot be true.
    """

    def __init__(self, reader: FileReader, footer: bytes) -> None:
        self._reader = reader
        self._checked: set[tuple[int, str]] = set()
        try:
            groups = read_struct(footer)[0][4]
            self._groups = [[_chunk(column) for column in group[1]] for group in groups]
        except (WireError, KeyError, TypeError, IndexError, AttributeError):
            raise self._damaged("its footer lists no columns") from None
        for chunk in (chunk for group in self._groups for chunk in group):
            if not 0 <= chunk.start <= chunk.stop <= reader.size:
                raise self._damaged(f"column {chunk.name} stands outside of the file")

    def check(self, group: int, columns: Collection[str]) -> None:
        """Check the pages of some columns of a row group.

        Raises:
            DataError: One says that it holds more than it can.
        """
        for chunk in self._groups[group]:
            if chunk.name in columns and (group, chunk.name) not in self._checked:
                self._check_pages(chunk)
        self._checked |= {(group, name) for name in columns}

    def _check_pages(self, chunk: ColumnChunk) -> None:
        at = chunk.start
        while at < chunk.stop:
            header, size = self._header(at, chunk)
            try:
                unpacked, packed = header[2], header[3]
                is_possible = 0 <= packed <= chunk.stop - at - size and 0 <= unpacked <= max(
                    MOST_PAGE_BYTES, MOST_RATIO * packed
                )
            except (KeyError, TypeError):
                is_possible = False
            if not is_possible:
                raise self._damaged(f"the page at byte {at} of column {chunk.name} is impossible")
            at += size + packed

    def _header(self, at: int, chunk: ColumnChunk) -> tuple[Struct, int]:
        """Return the header of a page, and its length."""
        for most in _HEADERS:
            raw = self._reader.read(at, min(most, chunk.stop - at))
            try:
                return read_struct(raw)
            except WireError:
                if len(raw) < most:
                    break
        raise self._damaged(f"there is no page at byte {at} of column {chunk.name}")

    def _damaged(self, why: str) -> DataError:
        return DataError(
            subject=self._reader.path,
            problem=f"damaged Parquet file ({why})",
            remedy="fetch or write it again",
        )


def _chunk(column: Any) -> ColumnChunk:
    about = column[3]
    data, dictionary = about[9], about.get(11)
    # As pyarrow has it: a dictionary at byte 0 is none.
    start = dictionary if dictionary and 0 < dictionary < data else data
    name = about[3][0].decode(errors="replace")
    return ColumnChunk(name, start, start + about[7])
