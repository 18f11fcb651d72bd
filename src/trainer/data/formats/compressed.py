"""Streams packed with gzip or zlib: recognised by their first bytes, unpacked piece by piece.

TensorFlow writes both: `TFRecordWriter(path, "GZIP")` and `TFRecordWriter(path, "ZLIB")`
(RFC 1952, RFC 1950).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from trainer.config import DataError
from trainer.data.formats.framing import is_tfrecord

Packing = Literal["", "gzip", "zlib"]

GZIP_MAGIC = b"\x1f\x8b"
# The first two bytes by level of compression: none, low, usual, best.
ZLIB_MAGICS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
# The `wbits` by which `zlib.decompressobj` reads each of the two containers.
WINDOW_BITS = {"gzip": 31, "zlib": 15}

# Bytes that are read, and bytes that are unpacked, at a time.
PIECE_BYTES = 1 << 18

# Images rarely shrink to less than a tenth. What grows by more than this, and beyond so many bytes,
# was made to fill a disk.
MOST_RATIO = 128
FREE_BYTES = 1 << 30


def packing_of(head: bytes) -> Packing:
    """Return how a file that begins with `head` is packed; an empty text if it is not."""
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    # A record of 376 bytes begins like a zlib stream, and so does a text about x^2.
    if not head.startswith(ZLIB_MAGICS) or is_tfrecord(head) or head.isascii():
        return ""
    try:
        zlib.decompressobj(WINDOW_BITS["zlib"]).decompress(head)
    except zlib.error:
        return ""
    return "zlib"


def unpack(path: Path, packing: Packing, *, free: int = FREE_BYTES) -> Iterator[bytes]:
    """Yield the content of a packed file, `PIECE_BYTES` at most at a time.

    Several streams one behind the other are one content; zeros may fill up the end.

    Args:
        path: The file.
        packing: How it is packed.
        free: The most bytes that may be in it, however small the file is.

    Raises:
        DataError: The stream is damaged or cut short, or the content is out of all proportion.
    """
    most = max(free, MOST_RATIO * path.stat().st_size)
    unpacker = zlib.decompressobj(WINDOW_BITS[packing])
    raw, at, size = b"", 0, 0
    with path.open("rb") as file:
        while True:
            raw = raw or file.read(PIECE_BYTES)
            if unpacker.eof:
                at += len(raw) - len(raw := raw.lstrip(b"\0"))
                if raw:
                    unpacker = zlib.decompressobj(WINDOW_BITS[packing])
                elif file.tell() == path.stat().st_size:
                    return
                else:
                    continue
            if not raw:
                raise _damaged(path, packing, "it ends before its stream does", at)
            before = unpacker.copy()
            try:
                piece = unpacker.decompress(raw, PIECE_BYTES)
            except zlib.error as error:
                problem = str(error).rpartition(": ")[2]
                raise _damaged(path, packing, problem, at + _bytes_read(before, raw)) from None
            left = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            at += len(raw) - len(left)
            raw = left
            size += len(piece)
            if size > most:
                raise DataError(
                    subject=path,
                    problem=f"unpacks to more than {most:,} bytes, out of all proportion to its "
                    f"{path.stat().st_size:,}",
                    remedy="unpack it yourself if it is sound",
                )
            if piece:
                yield piece


def packed_share(raw: bytes, packing: Packing, size: int) -> float:
    """Return how many bytes of a packed file hold one byte of its content.

    Args:
        raw: The file's first bytes.
        packing: How it is packed.
        size: The most bytes to unpack.
    """
    unpacker = zlib.decompressobj(WINDOW_BITS[packing])
    content = unpacker.decompress(raw, size)
    return (len(raw) - len(unpacker.unconsumed_tail)) / max(1, len(content))


def _bytes_read(unpacker: zlib._Decompress, raw: bytes) -> int:
    """Return how many of some bytes can be read before the one at which the stream is wrong."""
    for i in range(len(raw)):
        try:
            unpacker.decompress(raw[i : i + 1])
        except zlib.error:
            return i
    return len(raw)


def _damaged(path: Path, packing: Packing, problem: str, offset: int) -> DataError:
    return DataError(
        subject=path,
        problem=f"damaged {packing} file ({problem}, at byte {offset})",
        remedy="fetch the file again",
    )
