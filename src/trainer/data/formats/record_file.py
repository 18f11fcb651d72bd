"""TFRecord files as sequences of messages, whose checksums are verified.

Where all records of a file have one length, record i starts at i × stride and a block of them is a
matrix, read in one go. Any other file is walked once from header to header, and read by the index
that this gives.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from trainer.config import DataError
from trainer.data.formats.file_reader import open_unpacked
from trainer.data.formats.framing import (
    FOOTER,
    HEADER,
    find_header,
    header_length,
    masked_crc,
    masked_crcs,
)

PROBES = 16
SCAN_BYTES = 1 << 20


class RecordFile:
    """The messages of one TFRecord file.

    Args:
        path: The file; one that is packed with gzip or zlib is unpacked on opening.
        skip_corrupt: Leave damaged records out instead of raising. The whole file is then checked
            on opening, so that what is left can be counted and read in any order.

    Attributes:
        name: The file, for messages.
        path: The file.
        packing: How it is packed.
        damage: What is wrong with each record left out, a line each.
        size: The bytes of the unpacked file.
        is_uniform: True if all records have one length, and none is left out.

    Raises:
        DataError: Framing or checksum is wrong: file, record and offset are named.
    """

    def __init__(self, path: Path, *, skip_corrupt: bool = False) -> None:
        self.name, self.path = str(path), path
        self.damage: list[str] = []
        self._reader = open_unpacked(path)
        self.size, self.packing = self._reader.size, self._reader.packing
        self._stride = 0
        self.is_uniform = not skip_corrupt and self._has_one_length()
        if self.is_uniform:
            self._count = self.size // self._stride
        else:
            index = np.array(list(self._walk(skip_corrupt)), np.int64).reshape(-1, 3)
            self._numbers, self._offsets, self._lengths = index.T
            self._count = len(index)

    def __len__(self) -> int:
        return self._count

    def index(self) -> np.ndarray:
        """Return the number, the offset and the length of each record: int64 [3, n]."""
        if not self.is_uniform:
            return np.stack([self._numbers, self._offsets, self._lengths])
        numbers = np.arange(self._count)
        lengths = np.full(self._count, self._stride - HEADER - FOOTER)
        return np.stack([numbers, numbers * self._stride, lengths])

    def numbers(self, start: int, stop: int) -> np.ndarray:
        """Return the numbers in the file, damaged records counted, of some records: int64 [n]."""
        return np.arange(start, stop) if self.is_uniform else self._numbers[start:stop]

    def leave_out(self, record: int, problem: str) -> None:
        """Add a line about the damage of a record that `keep` leaves out."""
        number, offset, _ = self.index()[:, record].tolist()
        self.damage.append(str(self._damaged(number, offset, problem)))

    def keep(self, kept: np.ndarray) -> None:
        """Leave out all records but some: bool [n]."""
        self._numbers, self._offsets, self._lengths = self.index()[:, kept]
        self._count, self.is_uniform = int(kept.sum()), False

    def messages(self, start: int, stop: int) -> list[bytes]:
        """Return some messages in their order.

        Raises:
            DataError: One is damaged.
        """
        if start >= stop:
            return []
        if self.is_uniform:
            return [row.tobytes() for row in self._rows(start, stop)]
        offsets, lengths = self._offsets[start:stop].tolist(), self._lengths[start:stop].tolist()
        first = offsets[0]
        raw = self._reader.read(first, offsets[-1] + HEADER + lengths[-1] + FOOTER - first)
        found = []
        for i, (offset, length) in enumerate(zip(offsets, lengths, strict=True)):
            at = offset - first + HEADER
            data = raw[at : at + length]
            if masked_crc(data) != struct.unpack_from("<I", raw, at + length)[0]:
                number = int(self._numbers[start + i])
                raise self._damaged(number, offset, "data checksum is wrong")
            found.append(data)
        return found

    def blocks(self, start: int, stop: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return some messages by their lengths.

        Returns:
            For each length, the places of its messages among those that were asked for, int64 [n],
            and the messages, uint8 [n, length].

        Raises:
            DataError: One is damaged; the first is named.
        """
        if start >= stop:
            return []
        if self.is_uniform:
            return [(np.arange(stop - start), self._rows(start, stop))]
        offsets, lengths = self._offsets[start:stop], self._lengths[start:stop]
        first, last = int(offsets[0]), int(offsets[-1] + lengths[-1])
        raw = self._reader.read(first, last + HEADER + FOOTER - first)
        view = np.frombuffer(raw, np.uint8)
        blocks, damaged = [], []
        order = np.argsort(lengths, kind="stable")
        borders = np.flatnonzero(np.diff(lengths[order])) + 1
        for places in np.split(order, borders):
            length = int(lengths[places[0]])
            at = offsets[places] - first
            windows = np.lib.stride_tricks.sliding_window_view(view, HEADER + length + FOOTER)
            records = windows[at]
            wrong = masked_crcs(raw, at + HEADER, length) != _stored(records)
            if wrong.any():
                damaged.append(int(places[np.argmax(wrong)]))
            blocks.append((places, records[:, HEADER:-FOOTER]))
        if damaged:
            number, offset = self._numbers[start + min(damaged)], offsets[min(damaged)]
            raise self._damaged(int(number), int(offset), "data checksum is wrong")
        return blocks

    def _rows(self, start: int, stop: int) -> np.ndarray:
        """Read records of one length: the whole block is a matrix."""
        stride, offset = self._stride, start * self._stride
        raw = self._reader.read(offset, (stop - start) * stride)
        rows = np.frombuffer(raw, np.uint8).reshape(-1, stride)
        wrong = (rows[:, :HEADER] != self._header).any(axis=1)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self._damaged(
                start + row, offset + row * stride, "length or its checksum is wrong"
            )
        at = np.arange(HEADER, len(raw), stride)
        wrong = masked_crcs(raw, at, stride - HEADER - FOOTER) != _stored(rows)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self._damaged(start + row, offset + row * stride, "data checksum is wrong")
        return rows[:, HEADER:-FOOTER]

    def _has_one_length(self) -> bool:
        """Return whether all records have one length, judged by up to 17 spread over the file.

        Sets the stride. A record of another length is found by its header when it is read.
        """
        header = self._reader.read(0, min(HEADER, self.size))
        length = header_length(header)
        if length is None or self.size % (HEADER + length + FOOTER):
            return False
        self._stride = HEADER + length + FOOTER
        self._header = np.frombuffer(header, np.uint8)
        count = self.size // self._stride
        probes = {count - 1, *range(0, count, max(1, count // PROBES))}
        return all(self._reader.read(i * self._stride, HEADER) == header for i in probes)

    def _walk(self, skip_corrupt: bool) -> Iterator[tuple[int, int, int]]:
        """Yield each record's number, offset and length; check the data where damage is skipped."""
        offset = number = length = 0
        with self._reader.stream() as file:
            while offset < self.size:
                problem = ""
                head = file.read(HEADER)
                announced = header_length(head)
                if announced is None:
                    problem = "is cut short" if len(head) < HEADER else "length checksum is wrong"
                    end = self._next_record(offset, length) if skip_corrupt else self.size
                else:
                    length, end = announced, offset + HEADER + announced + FOOTER
                    if end > self.size:
                        problem, end = "is cut short", self.size
                    elif skip_corrupt:
                        data, crc = file.read(length), file.read(FOOTER)
                        if masked_crc(data) != struct.unpack("<I", crc)[0]:
                            problem = "data checksum is wrong"
                if not problem:
                    yield number, offset, length
                elif skip_corrupt:
                    self.damage.append(str(self._damaged(number, offset, problem)))
                else:
                    raise self._damaged(number, offset, problem)
                offset, number = end, number + 1
                file.seek(offset)

    def _next_record(self, offset: int, length: int) -> int:
        """Return where the next record begins after one whose header is damaged.

        Args:
            offset: The place of the damaged record.
            length: The length of the record before it, 0 if there is none.
        """
        end, at = self.size, offset + 1
        while at < self.size:
            raw = self._reader.read(at, min(SCAN_BYTES, self.size - at))
            if (found := find_header(raw, longest=self.size)) is not None:
                end = at + found
                break
            # A header may reach from one part into the next.
            at += max(1, len(raw) - HEADER + 1)
        # Report several damaged in a row one by one, where their number can be known.
        stride = HEADER + length + FOOTER
        return offset + stride if length and (end - offset) % stride == 0 else end

    def _damaged(self, number: int, offset: int, problem: str) -> DataError:
        unpacked = " of the unpacked file" if self.packing else ""
        return DataError(
            subject=self.name,
            problem=f"record {number} at offset {offset}{unpacked}: {problem}",
            remedy="fetch the file again, or leave damaged records out with --skip-corrupt N",
        )


def _stored(records: np.ndarray) -> np.ndarray:
    """Return the checksums at the end of framed records, uint8 [n, length]: uint32 [n]."""
    return np.ascontiguousarray(records[:, -FOOTER:]).view("<u4")[:, 0]
