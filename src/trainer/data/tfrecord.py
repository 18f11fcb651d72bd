"""TFRecord files: framing, checksums and a table of their examples, without TensorFlow.

A record is `uint64 length, uint32 masked CRC32C of the length, data, uint32 masked CRC32C of the
data`, little-endian (tensorflow/core/lib/io/record_writer.h). Where all records of a file have one
length, record i starts at i × stride and a block of them is a matrix, read in one go. Any other
file is walked once from header to header, and read by the index that this gives.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import numpy as np

from trainer.data import example
from trainer.data.table import IMAGE_SHAPE, check_labels
from trainer.errors import DataError

HEADER, FOOTER = 12, 4
MASK_DELTA = 0xA282EAD8
PROBES = 16


def masked_crc(data: bytes) -> int:
    """CRC32C of `data`, rotated and offset: what a TFRecord stores, so that CRCs of CRCs hold."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def frame(payloads: np.ndarray) -> np.ndarray:
    """Put length and checksums around serialised messages of one length.

    Args:
        payloads: uint8 [n, length].

    Returns:
        uint8 [n, length + 16]; its bytes are a valid TFRecord file.
    """
    count, length = payloads.shape
    size = struct.pack("<Q", length)
    out = np.empty((count, HEADER + length + FOOTER), np.uint8)
    out[:, :HEADER] = np.frombuffer(size + struct.pack("<I", masked_crc(size)), np.uint8)
    out[:, HEADER:-FOOTER] = payloads
    crcs = _masked_crcs(payloads.tobytes(), np.arange(count) * length, length)
    out[:, -FOOTER:] = crcs.view(np.uint8).reshape(count, FOOTER)
    return out


def header_length(header: bytes) -> int | None:
    """The length that a record's first 12 bytes announce, or None if their checksum is wrong."""
    if len(header) < HEADER:
        return None
    length, crc = struct.unpack_from("<QI", header)
    return length if masked_crc(header[:8]) == crc else None


def is_tfrecord(head: bytes) -> bool:
    """Whether a file that begins with `head` (12 bytes or more) is an uncompressed TFRecord."""
    return header_length(head) is not None


class TFRecordTable:
    """The labelled images of one uncompressed TFRecord file.

    Args:
        path: The file.
        skip_corrupt: Leave damaged records out instead of raising. The whole file is then checked
            on opening, so that what is left can be counted and read in any order.

    Attributes:
        damage: What is wrong with each record left out, a line each.

    Raises:
        DataError: Framing or checksum is wrong: file, record and offset are named.
    """

    kind = "tfrecord"

    def __init__(self, path: Path, *, skip_corrupt: bool = False) -> None:
        self.name = str(path)
        self.damage: list[str] = []
        self._file = path.open("rb", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size
        self._layouts: list[example.Layout] = []
        self._stride = 0
        if not skip_corrupt and self._is_uniform():
            self._count = self._size // self._stride
        else:
            index = np.array(list(self._walk(skip_corrupt)), np.int64).reshape(-1, 2)
            self._offsets, self._lengths = index[:, 0], index[:, 1]
            self._count = len(index)
            self._stride = 0

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        if self._stride:
            return self._read_rows(start, stop)
        offsets, lengths = self._offsets[start:stop], self._lengths[start:stop]
        first, last = int(offsets[0]), int(offsets[-1] + lengths[-1])
        raw = self._pread(first, last + HEADER + FOOTER - first)
        images = np.empty((stop - start, *IMAGE_SHAPE), np.uint8)
        labels = np.empty(stop - start, np.uint8)
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            at = offsets[rows] - first
            records = np.frombuffer(raw, np.uint8)[at[:, None] + np.arange(HEADER + length)]
            stored = np.frombuffer(raw, np.uint8)[at[:, None] + HEADER + length + np.arange(FOOTER)]
            wrong = _masked_crcs(raw, at + HEADER, int(length)) != stored.view("<u4")[:, 0]
            if wrong.any():
                row = int(rows[np.argmax(wrong)])
                raise self._damaged(start + row, int(offsets[row]), "data checksum is wrong")
            images[rows], labels[rows] = self._decode(records[:, HEADER:], start + rows)
        return images, labels

    def _read_rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Read records of one length: the whole block is a matrix."""
        stride, offset = self._stride, start * self._stride
        raw = self._pread(offset, (stop - start) * stride)
        rows = np.frombuffer(raw, np.uint8).reshape(-1, stride)
        wrong = (rows[:, :HEADER] != self._header).any(axis=1)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self._damaged(
                start + row, offset + row * stride, "length or its checksum is wrong"
            )
        at = np.arange(HEADER, len(raw), stride)
        crcs = _masked_crcs(raw, at, stride - HEADER - FOOTER)
        wrong = crcs != np.ascontiguousarray(rows[:, -FOOTER:]).view("<u4")[:, 0]
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self._damaged(start + row, offset + row * stride, "data checksum is wrong")
        return self._decode(rows[:, HEADER:-FOOTER], np.arange(start, stop))

    def _decode(self, payloads: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images and checked labels of messages of one length; `numbers` are for the errors."""
        try:
            images, labels = example.decode(payloads, layouts=self._layouts)
        except example.BadExampleError as error:
            problem, row = error.args
            raise DataError(f"{self.name}: record {numbers[row]}: {problem}") from None
        checked = check_labels(labels, where=self.name, numbers=numbers)
        return images.reshape(-1, *IMAGE_SHAPE), checked

    def _is_uniform(self) -> bool:
        """Whether all records have one length, judged by up to 17 of them spread over the file.

        Sets the stride. A later record that breaks it is found when it is read, by its header.
        """
        header = self._pread(0, HEADER, short=True)
        length = header_length(header)
        if length is None or self._size % (HEADER + length + FOOTER):
            return False
        self._stride = HEADER + length + FOOTER
        self._header = np.frombuffer(header, np.uint8)
        count = self._size // self._stride
        probes = {count - 1, *range(0, count, max(1, count // PROBES))}
        return all(self._pread(i * self._stride, HEADER) == header for i in probes)

    def _walk(self, skip_corrupt: bool) -> Iterator[tuple[int, int]]:
        """Yield offset and length of each record; check the data too where damage is skipped."""
        offset = number = length = 0
        with open(self._file.fileno(), "rb", buffering=1 << 20, closefd=False) as file:
            file.seek(0)
            while offset < self._size:
                head = file.read(HEADER)
                announced = header_length(head)
                problem, lost = "", self._size - offset
                if announced is None:
                    problem = "is cut short" if len(head) < HEADER else "length checksum is wrong"
                    # Its length is unknown: the best guess is that of the record before.
                    length = length if self._starts_record(offset + length + 16) else lost
                else:
                    length = announced
                    if offset + HEADER + length + FOOTER > self._size:
                        problem = "is cut short"
                    elif skip_corrupt:
                        data, crc = file.read(length), file.read(FOOTER)
                        if masked_crc(data) != struct.unpack("<I", crc)[0]:
                            problem = "data checksum is wrong"
                if problem:
                    error = self._damaged(number, offset, problem)
                    if not skip_corrupt:
                        raise error
                    self.damage.append(str(error))
                else:
                    yield offset, length
                offset += HEADER + length + FOOTER
                number += 1
                file.seek(offset)

    def _starts_record(self, offset: int) -> bool:
        return header_length(self._pread(offset, HEADER, short=True)) is not None

    def _damaged(self, number: int, offset: int, problem: str) -> DataError:
        return DataError(
            f"{self.name}: record {number} at offset {offset}: {problem}; fetch the file again, "
            "or leave damaged records out with --skip-corrupt N"
        )

    def _pread(self, offset: int, size: int, *, short: bool = False) -> bytes:
        raw = os.pread(self._file.fileno(), size, offset)
        if len(raw) < size and not short:
            raise DataError(f"{self.name}: became shorter while it was read")
        return raw


def _masked_crcs(raw: bytes, starts: np.ndarray, length: int) -> np.ndarray:
    """The masked CRC32C of each span `raw[start : start + length]`: uint32 [len(starts)]."""
    crc32c = google_crc32c.value
    values = [crc32c(raw[at : at + length]) for at in starts.tolist()]
    crc = np.array(values, np.uint32)
    # Wraps around in 32 bits, as the format wants.
    return (crc >> 15 | crc << 17) + np.uint32(MASK_DELTA)
