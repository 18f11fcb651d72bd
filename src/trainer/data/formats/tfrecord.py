"""TFRecord files as tables of their examples, without TensorFlow.

Where all records of a file have one length, record i starts at i × stride and a block of them is a
matrix, read in one go. Any other file is walked once from header to header, and read by the index
that this gives.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainer.config import DataError
from trainer.data.formats import example
from trainer.data.formats.file_reader import open_unpacked, read_sample
from trainer.data.formats.format import Estimate, Format
from trainer.data.formats.framing import (
    FOOTER,
    HEADER,
    find_header,
    header_length,
    is_tfrecord,
    masked_crc,
    masked_crcs,
)
from trainer.data.formats.table import ImageSpec, Table, check_labels, image_shape

if TYPE_CHECKING:
    from trainer.data.formats.read_options import ReadOptions
    from trainer.data.graph.records import GraphRecords, TableConstants

PROBES = 16
# The most files that are looked into for an estimate.
SAMPLED_FILES = 16
SCAN_BYTES = 1 << 20


class TFRecordTable(Table):
    """The labelled images of one TFRecord file.

    Args:
        path: The file; one that is packed with gzip or zlib is unpacked on opening.
        skip_corrupt: Leave damaged records out instead of raising. The whole file is then checked
            on opening, so that what is left can be counted and read in any order.

    Attributes:
        damage: What is wrong with each record left out, a line each.
        path: The file.
        packing: How it is packed.
        numbers: The numbers of the records that are not left out: int64 [n]. It does not exist, nor
            do the next two, where all records have one length.
        offsets: The places where they begin, in bytes.
        lengths: The lengths of their data, in bytes.

    Raises:
        DataError: Framing or checksum is wrong: file, record and offset are named.
    """

    kind = "tfrecord"

    def __init__(self, path: Path, *, skip_corrupt: bool = False) -> None:
        self.name, self.path = str(path), path
        self.damage: list[str] = []
        self._reader = open_unpacked(path)
        self._size, self.packing = self._reader.size, self._reader.packing
        self._layouts: list[example.RecordLayout] = []
        self._stride = 0
        if not skip_corrupt and self._is_uniform():
            self._count = self._size // self._stride
        else:
            index = np.array(list(self._walk(skip_corrupt)), np.int64).reshape(-1, 3)
            self.numbers, self.offsets, self.lengths = index.T
            self._count = len(index)
            self._stride = 0
        if self._count:
            self.spec = ImageSpec(self._first_shape())

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        if self._stride:
            return self._read_rows(start, stop)
        offsets, lengths = self.offsets[start:stop], self.lengths[start:stop]
        numbers = self.numbers[start:stop]
        first, last = int(offsets[0]), int(offsets[-1] + lengths[-1])
        raw = self._reader.read(first, last + HEADER + FOOTER - first)
        images = np.empty((stop - start, *self.spec.shape), np.uint8)
        labels = np.empty(stop - start, np.int32)
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            at = offsets[rows] - first
            windows = np.lib.stride_tricks.sliding_window_view(
                np.frombuffer(raw, np.uint8), HEADER + length + FOOTER
            )
            records = windows[at]
            wrong = masked_crcs(raw, at + HEADER, length) != _stored(records)
            if wrong.any():
                row = rows[np.argmax(wrong)]
                raise self._damaged(int(numbers[row]), int(offsets[row]), "data checksum is wrong")
            images[rows], labels[rows] = self._decode(records[:, HEADER:-FOOTER], numbers[rows])
        return images, labels

    def _read_rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
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
        return self._decode(rows[:, HEADER:-FOOTER], np.arange(start, stop))

    def _decode(self, payloads: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images and checked labels of messages of one length; `numbers` are for errors."""
        try:
            images, labels = example.decode(payloads, layouts=self._layouts, shape=self.spec.shape)
        except example.BadExampleError as error:
            problem, row = error.args
            raise self._bad_example(int(numbers[row]), problem) from None
        checked = check_labels(labels, where=self.name, numbers=numbers)
        return images.reshape(-1, *self.spec.shape), checked

    def _first_shape(self) -> tuple[int, int, int]:
        """Return the shape of the image in the first record, which all others must have.

        Raises:
            DataError: The record is damaged, or holds no image.
        """
        if self._stride:
            number, offset, length = 0, 0, self._stride - HEADER - FOOTER
        else:
            at = (self.numbers[0], self.offsets[0], self.lengths[0])
            number, offset, length = map(int, at)
        raw = self._reader.read(offset + HEADER, length + FOOTER)
        if masked_crc(raw[:-FOOTER]) != struct.unpack("<I", raw[-FOOTER:])[0]:
            raise self._damaged(number, offset, "data checksum is wrong")
        try:
            layout = example.layout_of(np.frombuffer(raw[:-FOOTER], np.uint8))
        except example.BadExampleError as error:
            raise self._bad_example(number, str(error)) from None
        self._layouts.append(layout)
        return image_shape(layout.shape, where=self.name)

    def _bad_example(self, number: int, problem: str) -> DataError:
        return DataError(subject=self.name, problem=f"record {number}: {problem}")

    def _is_uniform(self) -> bool:
        """Return whether all records have one length, judged by up to 17 spread over the file.

        Sets the stride. A record of another length is found by its header when it is read.
        """
        header = self._reader.read(0, min(HEADER, self._size))
        length = header_length(header)
        if length is None or self._size % (HEADER + length + FOOTER):
            return False
        self._stride = HEADER + length + FOOTER
        self._header = np.frombuffer(header, np.uint8)
        count = self._size // self._stride
        probes = {count - 1, *range(0, count, max(1, count // PROBES))}
        return all(self._reader.read(i * self._stride, HEADER) == header for i in probes)

    def _walk(self, skip_corrupt: bool) -> Iterator[tuple[int, int, int]]:
        """Yield each record's number, offset and length; check the data where damage is skipped."""
        offset = number = length = 0
        with self._reader.stream() as file:
            while offset < self._size:
                problem = ""
                head = file.read(HEADER)
                announced = header_length(head)
                if announced is None:
                    problem = "is cut short" if len(head) < HEADER else "length checksum is wrong"
                    end = self._next_record(offset, length) if skip_corrupt else self._size
                else:
                    length, end = announced, offset + HEADER + announced + FOOTER
                    if end > self._size:
                        problem = "is cut short"
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
        end, at = self._size, offset + 1
        while at < self._size:
            raw = self._reader.read(at, min(SCAN_BYTES, self._size - at))
            if (found := find_header(raw, longest=self._size)) is not None:
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


class TFRecordFormat(Format):
    """TFRecord files of `tf.train.Example` messages, plain or packed."""

    name = "tfrecord"
    title = "TFRecord"
    reads_gzip = True

    def matches(self, head: bytes) -> bool:
        return is_tfrecord(head)

    def matches_name(self, name: str) -> bool:
        return ".tfrec" in name

    def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
        return TFRecordTable(path, skip_corrupt=options.skip_corrupt)

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate:
        records = covered = 0.0
        for file in files[:: -(-len(files) // SAMPLED_FILES)]:
            sample, share = read_sample(file, sample_bytes)
            count, spanned = _count_records(sample)
            if not count and sample:
                raise DataError(
                    subject=file,
                    problem="the first record's length is damaged",
                    remedy="fetch the file again",
                )
            records, covered = records + count, covered + spanned * share
        total = sum(file.stat().st_size for file in files)
        return Estimate(round(total * records / covered) if covered else 0, exact=False)

    def graph_records(self, tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
        from trainer.data.graph import tfrecord

        return tfrecord.records(tables, constants)


def _count_records(raw: bytes) -> tuple[int, int]:
    """Return how many records begin in `raw`, and how many bytes they take, the last one whole."""
    count = at = 0
    while (length := header_length(raw[at : at + HEADER])) is not None:
        at += HEADER + length + FOOTER
        count += 1
    return count, at


FORMAT = TFRecordFormat()
