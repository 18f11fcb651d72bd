"""One TFRecord file of a data set, written from a range of its examples."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, cast

import google_crc32c
import msgspec
import numpy as np

from trainer.data.formats import example
from trainer.data.formats.framing import frame
from trainer.data.formats.table import BLOCK_RECORDS, Table

# Bytes of images read at a time.
RUN_BYTES = 12 << 20
GZIP_LEVEL = 6


class ShardFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a data set, as its manifest has it.

    Attributes:
        name: Its path in the data set's folder.
        examples: The number of its records.
        bytes: Its length.
        crc32c: The checksum of its bytes, in hexadecimal.
        labels: The number of its examples of each label, by label.
    """

    name: str
    examples: int
    bytes: int
    crc32c: str
    labels: list[int]


class _Checked:
    """A file that counts and sums what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.size, self._checksum = file, 0, google_crc32c.Checksum()

    def write(self, data: bytes) -> int:
        self.size += len(data)
        self._checksum.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()

    @property
    def crc32c(self) -> str:
        digest: bytes = self._checksum.digest()
        return digest.hex()


def write_shard(
    tables: Sequence[Table],
    bounds: tuple[int, int],
    path: Path,
    *,
    name: str,
    packed: bool = False,
    count: Callable[[int], None] = lambda examples: None,
) -> ShardFile:
    """Write some examples of a split, and see to it that they are on disk.

    Args:
        tables: The whole split.
        bounds: The number of the first example, and one past the last.
        path: The file to write.
        name: Its name in the data set.
        packed: True to pack it with gzip.
        count: Called with the number of examples that have been written since the last call.

    Raises:
        DataError: A record cannot be read.
        OSError: The file cannot be written.
    """
    labels = np.zeros(0, np.int64)
    with path.open("wb") as file:
        checked = _Checked(file)
        # Without a time and a name in it, the same examples make the same bytes.
        stream = (
            gzip.GzipFile("", "wb", GZIP_LEVEL, cast(IO[bytes], checked), mtime=0)
            if packed
            else checked
        )
        for images, classes in _runs(tables, *bounds):
            stream.write(frame(example.encode_examples(images, classes)).tobytes())
            found = np.bincount(classes, minlength=labels.size)
            found[: labels.size] += labels
            labels = found
            count(classes.size)
        if isinstance(stream, gzip.GzipFile):
            stream.close()
        file.flush()
        os.fsync(file.fileno())
    return ShardFile(
        name=name,
        examples=bounds[1] - bounds[0],
        bytes=checked.size,
        crc32c=checked.crc32c,
        labels=labels.tolist(),
    )


def _runs(
    tables: Sequence[Table], start: int, stop: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield examples `start` to `stop` of a split, some at a time."""
    first = 0
    for table in tables:
        begin, end = max(start - first, 0), min(stop - first, len(table))
        first += len(table)
        records = max(1, RUN_BYTES // table.spec.size // BLOCK_RECORDS) * BLOCK_RECORDS
        # Tables are read from the beginning of a block.
        for at in range(begin // BLOCK_RECORDS * BLOCK_RECORDS, end, records):
            images, labels = table.read(at, min(at + records, len(table)))
            kept = slice(max(begin - at, 0), end - at)
            yield images[kept], labels[kept]
