"""The framing of TFRecord files: lengths and checksums, without TensorFlow.

A record is `uint64 length, uint32 masked CRC32C of the length, data, uint32 masked CRC32C of the
data`, little-endian (tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import struct

import google_crc32c
import numpy as np

HEADER, FOOTER = 12, 4
MASK_DELTA = 0xA282EAD8


def masked_crc(data: bytes) -> int:
    """Return the CRC32C of `data`, rotated and offset, as TFRecord files store it."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def masked_crcs(raw: bytes, starts: np.ndarray, length: int) -> np.ndarray:
    """Return the masked CRC32C of each span `raw[start : start + length]`: uint32 [len(starts)]."""
    crc32c = google_crc32c.value
    values = [crc32c(raw[at : at + length]) for at in starts.tolist()]
    crc = np.array(values, np.uint32)
    # The sum wraps around in 32 bits, as the format requires.
    return (crc >> 15 | crc << 17) + np.uint32(MASK_DELTA)


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
    crcs = masked_crcs(payloads.tobytes(), np.arange(count) * length, length)
    out[:, -FOOTER:] = crcs.astype("<u4").view(np.uint8).reshape(count, FOOTER)
    return out


def header_length(header: bytes) -> int | None:
    """Return the length that a 12-byte header announces, or None if its checksum is wrong."""
    if len(header) < HEADER:
        return None
    length, crc = struct.unpack_from("<QI", header)
    return length if masked_crc(header[:8]) == crc else None


def is_tfrecord(head: bytes) -> bool:
    """Return whether a file that begins with `head`, 12 bytes or more, is an unpacked TFRecord."""
    return header_length(head) is not None


def find_header(raw: bytes, *, longest: int) -> int | None:
    """Return where the first record of 1 to `longest` bytes begins in `raw`, by its checksum."""
    if len(raw) < HEADER:
        return None
    # The lengths that records would have if one began at each byte.
    lengths = np.ndarray((len(raw) - HEADER + 1,), "<u8", raw, strides=(1,))
    for at in np.flatnonzero((lengths > 0) & (lengths <= longest)).tolist():
        if header_length(raw[at : at + HEADER]) is not None:
            return at
    return None
