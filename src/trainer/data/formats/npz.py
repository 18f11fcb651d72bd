"""npz files: zip archives of npy files, which may hold several parts of a data set."""

from __future__ import annotations

import contextlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.config import TEST_PARTS, DataError, Part, Split, part_of
from trainer.data.formats.array_names import array_part, array_role, name_words, named_role
from trainer.data.formats.array_table import ArrayTable
from trainer.data.formats.compressed import FREE_BYTES, MOST_RATIO, PIECE_BYTES
from trainer.data.formats.file_reader import SPOOL_BYTES, FileReader, UnpackedFile
from trainer.data.formats.format import Estimate, Format, Role
from trainer.data.formats.npy import NpyHeader, checked_header
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.formats.registry import join_words
from trainer.data.formats.stored_array import StoredArray
from trainer.data.formats.table import Table

# The local header of a zip member: its fixed part, and where lengths of name and extra field stand
# in it ("4.3.7 Local file header", APPNOTE.TXT).
LOCAL = struct.Struct("<4s22xHH")
MAGIC = b"PK\3\4"
# Far more than any data set has; each is looked at.
MOST_ARRAYS = 1000
ROLES_OF_FEATURES: dict[str, Role] = {"image": "images", "label": "labels"}
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


@dataclass(frozen=True)
class NpzPair:
    """The images and the labels of one part of a data set."""

    images: NpzMember
    labels: NpzMember


def pairs_in(path: Path, options: ReadOptions = DEFAULTS) -> dict[Part | None, NpzPair]:
    """Return the arrays of labelled images in a file, by the part that their names say.

    Args:
        path: The file.
        options: Names of the arrays that are meant, under `image` and `label`.

    Raises:
        DataError: The file is damaged, or what its arrays are cannot be seen from names and shapes.
    """
    members = _members(path)
    by_part: dict[tuple[Part | None, Role], list[NpzMember]] = {}
    for member in members:
        if role := _role(member, dict(options.features)):
            by_part.setdefault((array_part(member.key), role), []).append(member)
    pairs = {}
    for part in dict.fromkeys(part for part, _ in by_part):
        images, labels = (_named(by_part.get((part, role), [])) for role in ("images", "labels"))
        if len(images) == len(labels) == 1:
            pairs[part] = NpzPair(images[0], labels[0])
    if not pairs:
        keys = join_words([m.key for m in members[:8]], "and") if members else "no arrays"
        raise DataError(
            subject=path,
            problem=f"holds {keys}; expected images and labels, such as x and y, or x_train, "
            "y_train, x_test and y_test",
            remedy="name them: --feature image=NAME --feature label=NAME",
        )
    return pairs


def _named(members: list[NpzMember]) -> list[NpzMember]:
    """Return those of several arrays whose names say what they hold, if any does."""
    return [m for m in members if named_role(m.key)] or members


def open_split(path: Path, options: ReadOptions = DEFAULTS) -> ArrayTable:
    """Open the images and labels of one split of a file.

    Args:
        path: The file.
        options: The split that is wanted; of a file that holds one part, that is the one.

    Raises:
        DataError: The file is damaged, lacks the split, or does not hold labelled images.
    """
    pairs = pairs_in(path, options)
    pair = next(iter(pairs.values())) if len(pairs) == 1 else _of_split(pairs, options.split)
    if pair is None:
        others = join_words([str(part) for part in pairs], "and")
        raise DataError(subject=path, problem=f"holds {others} data, but no {options.split} data")
    return ArrayTable(
        "npz",
        _array(path, pair.images),
        _array(path, pair.labels),
        name=f"{path} ({pair.images.key} with {pair.labels.key})",
        options=options,
    )


def _of_split(pairs: dict[Part | None, NpzPair], split: Split) -> NpzPair | None:
    wanted: Sequence[Part | None] = TEST_PARTS if split == "test" else (split,)
    return next((pairs[part] for part in (*wanted, None) if part in pairs), None)


def _role(member: NpzMember, chosen: dict[str, str]) -> Role | None:
    """Return whether an array holds images or labels; None if it is neither."""
    if not chosen:
        return array_role(member.key, member.header.shape) if member.header.shape else None
    words = [word for word in name_words(member.key) if not part_of([word])]
    for feature, role in ROLES_OF_FEATURES.items():
        name = chosen.get(feature)
        if name and (member.key == name or words == name_words(name)):
            return role
    return None


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


def _members(path: Path) -> list[NpzMember]:
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


def _array(path: Path, member: NpzMember) -> StoredArray:
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


class NpzFormat(Format):
    """NumPy's archives: images and labels of one or more parts in one file."""

    name = "npz"
    title = "npz"
    suffixes = (".npz",)
    holds_parts = True

    def matches(self, head: bytes) -> bool:
        if not head.startswith(MAGIC) or len(head) < LOCAL.size:
            return False
        _, length, _ = LOCAL.unpack_from(head)
        return head[LOCAL.size : LOCAL.size + length].endswith(b".npy")

    def parts(self, path: Path) -> set[Part | None]:
        return {array_part(member.key) for member in _members(path)}

    def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
        return open_split(path, options)

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate | None:
        pairs = [pairs_in(file) for file in files]
        if any(len(each) > 1 for each in pairs):
            return None
        rows = (pair.images.header.shape[0] for each in pairs for pair in each.values())
        return Estimate(sum(rows), exact=True)


FORMAT = NpzFormat()
