"""The wire format of protocol buffers, as far as `tf.train.Example` and SavedModels need it.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import IO, Any

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5


class WireError(Exception):
    """Bytes that are no protobuf message."""


def message_fields(raw: bytes, at: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type and the span of the value for each field of the message in a span.

    Raises:
        WireError: The span holds no message.
    """
    while at < stop:
        tag, at = read_varint(raw, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            end = read_varint(raw, at)[1]
        elif wire == LENGTH_DELIMITED:
            size, at = read_varint(raw, at)
            end = at + size
        elif wire in (FIXED32, FIXED64):
            end = at + (4 if wire == FIXED32 else 8)
        else:
            raise WireError
        if end > stop or number == 0:
            raise WireError
        yield number, wire, at, end
        at = end


def read_varint(raw: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return the number that starts at `at`, and the offset behind it."""
    value = shift = 0
    while at < len(raw) and shift < 70:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise WireError


def read_fields(file: IO[bytes], size: int, wanted: Mapping[int, Any], *, most: int) -> bytes:
    """Read some fields of a message, and skip the rest without reading it into memory.

    Args:
        file: A file at the beginning of the message.
        size: The message's length in bytes.
        wanted: The numbers of fields that are messages or texts, each with the fields wanted in
            it, or None for all of it.
        most: The most bytes of a field that is read as a whole.

    Returns:
        A message of these fields alone.

    Raises:
        WireError: It is no message, or a field is larger than `most`.
    """
    out = bytearray()
    while size > 0:
        tag, used = _read_varint(file)
        number, wire = tag >> 3, tag & 7
        length = {FIXED32: 4, FIXED64: 8}.get(wire, 0)
        if wire in (VARINT, LENGTH_DELIMITED):
            value, more = _read_varint(file)
            used += more
            length = value if wire == LENGTH_DELIMITED else 0
        elif not length:
            raise WireError
        size -= used + length
        if size < 0 or number == 0:
            raise WireError
        if wire != LENGTH_DELIMITED or number not in wanted:
            file.seek(length, os.SEEK_CUR)
        elif wanted[number] is not None:
            out += field(number, read_fields(file, length, wanted[number], most=most))
        elif length > most or len(body := file.read(length)) < length:
            raise WireError
        else:
            out += field(number, body)
    return bytes(out)


def _read_varint(file: IO[bytes]) -> tuple[int, int]:
    """Return the next number of a file, and how many bytes it takes."""
    raw = bytearray()
    while len(raw) < 10 and (byte := file.read(1)):
        raw += byte
        if byte[0] < 0x80:
            return read_varint(raw, 0)
    raise WireError


def to_varint(value: int) -> bytes:
    """Return a number of 0 or more as a varint."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, body: bytes) -> bytes:
    """Return one length-delimited field."""
    return to_varint(number << 3 | LENGTH_DELIMITED) + to_varint(len(body)) + body
