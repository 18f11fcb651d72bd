"""Checksums as stores keep them, computed of local files and of bytes on their way.

S3's ETag is the MD5 of an object, or `<MD5 of the parts' MD5s>-<number of parts>` of one that was
sent in parts, unless a key of KMS or of the customer's encrypts it. Google keeps a CRC32C of every
object, and an MD5 of those that were not composed.

Sources: "Checking object integrity" in S3's user guide; "Hashes and ETags" in Google's.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trainer.storage.sync.crc64 import Crc64Nvme

PIECE = 2**20  # bytes read at a time
MIB = 2**20
# Sizes of parts that the common clients send, smallest first.
COMMON_PARTS = tuple(
    MIB * size for size in (5, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 256, 512)
)


@dataclass(frozen=True, kw_only=True)
class Checksums:
    """Checksums of one file; each is hexadecimal, or None if it is unknown.

    Attributes:
        md5: Of all bytes.
        parts_md5: S3's ETag of an object that was sent in parts.
        part_size: Bytes of each of those parts but the last.
        sha256: Of all bytes.
        crc32c: Of all bytes.
        crc32: Of all bytes.
        crc64nvme: Of all bytes.
    """

    md5: str | None = None
    parts_md5: str | None = None
    part_size: int | None = None
    sha256: str | None = None
    crc32c: str | None = None
    crc32: str | None = None
    crc64nvme: str | None = None

    @property
    def best(self) -> str | None:
        """The name of the strongest that can be computed of other bytes; None if none can."""
        for name in KINDS:
            if getattr(self, name) and (name != "parts_md5" or self.part_size):
                return name
        return None

    @property
    def quickest(self) -> Checksums:
        """The CRC32C alone if it is known: a processor computes it as fast as memory is read."""
        return Checksums(crc32c=self.crc32c) if self.crc32c else self

    def value(self, kind: str | None) -> str | None:
        """Return one of them by its name."""
        return getattr(self, kind) if kind else None


KINDS = ("md5", "sha256", "parts_md5", "crc32c", "crc32", "crc64nvme")
UNKNOWN = Checksums()


class Hasher(Protocol):
    """An object of `hashlib`, or one that is used alike."""

    def update(self, data: Any, /) -> None:
        """Go on with more bytes."""

    def hexdigest(self) -> str:
        """Return the checksum of all bytes so far."""


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: Any) -> None:
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


class _Crc32c:
    def __init__(self) -> None:
        import google_crc32c

        self._extend: Callable[[int, Any], int] = google_crc32c.extend
        self._value = 0

    def update(self, data: Any) -> None:
        self._value = self._extend(self._value, bytes(data))

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


class _PartsMd5:
    """S3's ETag of an object that is sent in parts of one size."""

    def __init__(self, size: int) -> None:
        self._size, self._room = size, size
        self._part = hashlib.md5(usedforsecurity=False)
        self._digests: list[bytes] = []

    def update(self, data: Any) -> None:
        view = memoryview(data)
        while view:
            piece, view = view[: self._room], view[self._room :]
            self._part.update(piece)
            self._room -= len(piece)
            if not self._room:
                self._end_part()

    def hexdigest(self) -> str:
        if self._room < self._size:
            self._end_part()
        return etag_of_parts(self._digests)

    def _end_part(self) -> None:
        self._digests.append(self._part.digest())
        self._part, self._room = hashlib.md5(usedforsecurity=False), self._size


def etag_of_parts(digests: Iterable[bytes]) -> str:
    """Return S3's ETag of an object, from the MD5 of each of its parts."""
    found = list(digests)
    return f"{hashlib.md5(b''.join(found), usedforsecurity=False).hexdigest()}-{len(found)}"


def hasher_for(kind: str, part_size: int | None = None) -> Hasher:
    """Return an object that computes one of `KINDS`."""
    if kind == "parts_md5":
        assert part_size
        return _PartsMd5(part_size)
    if kind in ("crc32c", "crc32"):
        return _Crc32c() if kind == "crc32c" else _Crc32()
    if kind == "crc64nvme":
        return Crc64Nvme()
    return hashlib.new(kind, usedforsecurity=False)


def pieces_of(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file."""
    with path.open("rb", buffering=0) as file:
        while data := file.read(PIECE):
            yield data


def checksum_of(pieces: Iterable[Any], like: Checksums) -> Checksums:
    """Return of some bytes the strongest checksum that another file has, and no more."""
    kind = like.best
    if kind is None:
        return UNKNOWN
    hasher = hasher_for(kind, like.part_size)
    for piece in pieces:
        hasher.update(piece)
    return Checksums(**{kind: hasher.hexdigest()}, part_size=like.part_size)


def are_equal(one: Checksums, other: Checksums) -> bool | None:
    """Return whether two files have the same bytes; None if they have no checksum in common."""
    for kind in KINDS:
        ours, theirs = getattr(one, kind), getattr(other, kind)
        if not ours or not theirs:
            continue
        if ours == theirs:
            return True
        # Parts of another size make another ETag of the same bytes.
        if kind != "parts_md5" or (one.part_size and one.part_size == other.part_size):
            return False
    return None


def of_etag(etag: str, size: int) -> Checksums:
    """Return what S3's ETag says, as that of an object that no key of KMS encrypts.

    Args:
        etag: With or without quotes.
        size: Of the object in bytes, by which the size of its parts is found.
    """
    etag = etag.strip('"').lower()
    if re.fullmatch("[0-9a-f]{32}", etag):
        return Checksums(md5=etag)
    if match := re.fullmatch("[0-9a-f]{32}-([0-9]+)", etag):
        return Checksums(parts_md5=etag, part_size=guessed_part_size(size, int(match[1])))
    return UNKNOWN


def guessed_part_size(size: int, parts: int) -> int | None:
    """Return the size of an object's parts, if a common one, or one of ours, gives their number."""
    for part in (part_size_for(size), *COMMON_PARTS):
        if parts == max(1, -(-size // part)):
            return part
    return None


def part_size_for(size: int) -> int:
    """Return the bytes of each part in which an object of some size is sent.

    S3 takes up to 10,000 parts of at least 5 MiB; 8 MiB are what its own clients send.
    """
    whole_mib = -(-size // (10_000 * MIB)) * MIB
    return max(8 * MIB, whole_mib)
