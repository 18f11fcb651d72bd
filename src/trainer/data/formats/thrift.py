"""Thrift's compact protocol, as far as the footers and page headers of Parquet files need it.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any

from trainer.data.formats.protobuf import WireError, read_varint

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)
# Structs within structs; those of Parquet are far flatter.
_DEEPEST = 16

Struct = dict[int, Any]


def read_struct(raw: bytes, at: int = 0, *, depth: int = 0) -> tuple[Struct, int]:
    """Return the struct that begins at `at`, its values by field number, and the offset behind it.

    Raises:
        WireError: There is none, or it is cut short.
    """
    found: Struct = {}
    number = 0
    if depth > _DEEPEST:
        raise WireError
    while True:
        head = _byte(raw, at)
        at += 1
        if not head:
            return found, at
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(raw, at)
        if kind in (_TRUE, _FALSE):
            found[number] = kind == _TRUE
        else:
            found[number], at = _value(raw, at, kind, depth)


def _value(raw: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _integer(raw, at)
    if kind in (_BYTE, _TRUE, _FALSE):
        # A boolean within a list.
        return _byte(raw, at), at + 1
    if kind == _DOUBLE:
        return _bytes(raw, at, 8)
    if kind == _BINARY:
        size, at = read_varint(raw, at)
        return _bytes(raw, at, size)
    if kind == _STRUCT:
        return read_struct(raw, at, depth=depth + 1)
    if kind in (_LIST, _SET):
        return _list(raw, at, depth)
    if kind == _MAP:
        size, at = read_varint(raw, at)
        kinds, at = (_byte(raw, at), at + 1) if size else (0, at)
        return _values(raw, at, [kinds >> 4, kinds & 15], size, depth)
    raise WireError


def _list(raw: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    head = _byte(raw, at)
    size, at = head >> 4, at + 1
    if size == 15:
        size, at = read_varint(raw, at)
    return _values(raw, at, [head & 15], size, depth)


def _values(raw: bytes, at: int, kinds: list[int], size: int, depth: int) -> tuple[list[Any], int]:
    """Return values of some kinds that come by turns, `size` of each."""
    # Each takes a byte at least.
    if size * len(kinds) > len(raw) - at:
        raise WireError
    found = []
    for _ in range(size):
        for kind in kinds:
            value, at = _value(raw, at, kind, depth + 1)
            found.append(value)
    return found, at


def _integer(raw: bytes, at: int) -> tuple[int, int]:
    value, at = read_varint(raw, at)
    return (value >> 1) ^ -(value & 1), at


def _byte(raw: bytes, at: int) -> int:
    if at >= len(raw):
        raise WireError
    return raw[at]


def _bytes(raw: bytes, at: int, size: int) -> tuple[bytes, int]:
    if size > len(raw) - at:
        raise WireError
    return raw[at : at + size], at + size
