"""The arrays of npz files: read in place where they are stored, else unpacked within limits."""

from __future__ import annotations

import contextlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.config import DataError
from trainer.data.formats.array_names import named_role
from trainer.data.formats.compressed import FREE_BYTES, MOST_RATIO, PIECE_BYTES
from trainer.data.formats.file_reader import FileReader
from trainer.data.formats.npy import NpyHeader, checked_header
from trainer.data.formats.stored_array import StoredArray
from trainer.data.formats.unpacked_file import SPOOL_BYTES, UnpackedFile

# The local header of a zip member: its fixed part, and where lengths of name and extra field stand
# in it ("4.3.7 Local file header", APPNOTE.TXT).
LOCAL = struct.Struct("<4s22xHH")
MAGIC = b"PK\3\4"
# Far more than any data set has; each is looked at.
MOST_ARRAYS = 1000
# Errors that Python's reader raises for damaged or malicious archives.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    ValueError,
    OverflowError,
    IndexError,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True)
class NpzMember:
    """An array of an archive.

    Attributes:
        key: Its name, as `numpy.load` has it.
        info: Its entry in the archive's directory.
        header: Its header, compared with its length.
    """

    key: str
    info: zipfile.ZipInfo
    header: NpyHeader


def members_of(path: Path) -> list[NpzMember]:
    """Return the arrays of a file; those that cannot be read only if their names matter.

    Raises:
        DataError: The file is damaged, or holds too many.
    """
    found = []
    with _opened(path) as archive:
        infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        if len(infos) > MOST_ARRAYS:
            raise DataError(
                subject=path, problem=f"holds {len(infos)} arrays, expected {MOST_ARRAYS} at most"
            )
        for info in infos:
            key = info.filename.removesuffix(".npy")
            try:
                with archive.open(info) as file:
                    header = checked_header(file, info.file_size, name=f"{path}: {key}")
            except DataError:
                # Names of classes, say, which are often objects.
                if named_role(key):
                    raise
            else:
                found.append(NpzMember(key, info, header))
    return found


def open_member(path: Path, member: NpzMember) -> StoredArray:
    """Open an array: in place if it is stored as it is, else unpacked."""
    found = member.header
    file: FileReader | UnpackedFile
    if member.info.compress_type == zipfile.ZIP_STORED:
        file = FileReader(path)
        offset = _data_offset(file, member) + found.offset
    else:
        file, offset = UnpackedMember(path, member), found.offset
    name = f"{path}: {member.key}"
    return StoredArray(name, file, offset, found.shape, found.dtype, found.is_fortran)


def _data_offset(file: FileReader, member: NpzMember) -> int:
    """Return where the bytes of a stored member begin in its archive."""
    start = member.info.header_offset
    if start + LOCAL.size <= file.size:
        magic, name, extra = LOCAL.unpack(file.read(start, LOCAL.size))
        offset = start + LOCAL.size + name + extra
        if magic == MAGIC and offset + member.info.file_size <= file.size:
            return offset
    raise DataError(
        subject=f"{file.path}: {member.key}",
        problem="its bytes end beyond the end of the file",
        remedy="fetch the file again",
    )


class UnpackedMember(UnpackedFile):
    """A compressed member of an archive, unpacked on opening.

    Raises:
        DataError: It is damaged, out of all proportion to its archive, or there is no room for it.
    """

    def __init__(self, path: Path, member: NpzMember, *, in_memory: int = SPOOL_BYTES) -> None:
        self.path = path
        size = member.info.file_size
        if size > max(FREE_BYTES, MOST_RATIO * path.stat().st_size):
            raise DataError(
                subject=f"{path}: {member.key}",
                problem=f"unpacks to {size:,} bytes, out of all proportion to its file's "
                f"{path.stat().st_size:,}",
                remedy="save it anew: numpy.savez",
            )
        with _opened(path) as archive, archive.open(member.info) as packed:
            self._keep(iter(lambda: packed.read(PIECE_BYTES), b""), in_memory)
        if self.size != size:
            raise DataError(
                subject=f"{path}: {member.key}",
                problem=f"{self.size} bytes of {size} are there",
                remedy="fetch the file again",
            )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive, and turn errors of its reader into a DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DataError:
        raise
    except DAMAGED as error:
        why = " ".join(str(error).split())[:80] or type(error).__name__
        raise DataError(
            subject=path,
            problem=f"damaged npz file ({why})",
            remedy="fetch the file again",
        ) from None
    except OSError as error:
        raise DataError(
            subject=path,
            problem=f"cannot be read: {error.strerror or error}",
        ) from None
