"""Read the files of an artifact, which may be a folder, an archive or a `.keras` file.

An archive is not unpacked for it; `ARCHIVE` limits what it may hold.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from trainer.config import UserError
from trainer.storage import (
    ArchiveLimits,
    check_members,
    links_to_ancestor,
    open_archive,
    open_member,
)

# SageMaker's artifacts have no links, and no model that it takes is larger.
ARTIFACT_LIMITS = ArchiveLimits(members=20_000, size=64 * 2**30, links=False)
ZIP_SIZE = 16 * 2**30
# No protocol buffer may be larger than twice this.
MOST = 2**30
# Read as a whole, JSON takes twenty times its size; no model's is a tenth of this.
MOST_JSON = 2**25
# The exceptions that Python's reader raises on damaged zip files.
DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The files of an artifact.

    Attributes:
        form: `folder`, `tar.gz`, `tar` or `keras`.
        sizes: Bytes of each file, by its name relative to the top; hidden files are left out.
        open: Opens a file by its name.
        name: The artifact's name for errors.
    """

    form: str
    sizes: Mapping[str, int]
    open: Callable[[str], AbstractContextManager[IO[bytes]]]
    name: str

    def read(self, name: str, *, most: int = MOST) -> bytes:
        """Return all bytes of a file.

        Args:
            name: The file.
            most: Bytes that it may have; JSON may have 32 MiB at most.

        Raises:
            UserError: It is larger, or damaged.
        """
        size = self.sizes[name]
        if size > (min(most, MOST_JSON) if name.endswith(".json") else most):
            raise UserError(
                subject=self.name,
                problem=f"its {name} of {size / 1e6:.0f} MB is too large to read",
            )
        with self.open(name) as file:
            return file.read(size)


def read_contents(path: Path, *, name: str | None = None) -> Contents:
    """Return the files of an artifact.

    Args:
        path: A folder, a tar file or a `.keras` file.
        name: The artifact's name for errors; by default the path.

    Raises:
        UserError: It is missing, is no artifact, is damaged or is not safe to read.
    """
    name = name or str(path)
    if path.is_dir():
        return _folder(path, name)
    if not path.is_file():
        raise UserError(
            subject=name,
            problem="not found; expected a SavedModel folder, a .keras file or a model.tar.gz",
        )
    try:
        with path.open("rb") as file:
            begins = file.read(4)
    except OSError as error:
        raise UserError(
            subject=name,
            problem=f"cannot be read: {error.strerror}",
        ) from None
    if begins == b"PK\3\4":
        return _keras(path, name)
    if begins.startswith((b"BZh", b"\xfd7zX")):
        raise UserError(
            subject=name,
            problem="expected a tar file packed with gzip, as SageMaker takes it",
        )
    if begins.startswith(b"\x89HDF"):
        raise UserError(
            subject=name,
            problem="a Keras HDF5 file, which is not taken",
            remedy="keras.models.load_model(…) it and save it as .keras",
        )
    return _tar(path, name, form="tar.gz" if begins.startswith(b"\x1f\x8b") else "tar")


def files_below(folder: Path, *, limits: ArchiveLimits = ARTIFACT_LIMITS) -> dict[str, Path]:
    """Return the files of a folder at any depth, by name; links are followed, hidden ones left out.

    Raises:
        UserError: There are too many.
    """
    found: dict[str, Path] = {}
    for place, folders, names in os.walk(folder, followlinks=True):
        shown = (n for n in folders if not n.startswith(".") and n != "__pycache__")
        folders[:] = sorted(name for name in shown if not links_to_ancestor(Path(place, name)))
        for name in sorted(n for n in names if not n.startswith(".")):
            path = Path(place, name)
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = path
        if len(found) > limits.members:
            raise UserError(
                subject=folder,
                problem=f"has more than {limits.members} files",
                remedy="name the model's",
            )
    return found


def printable(text: str) -> str:
    """Return text from an artifact without what would control a terminal."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _folder(path: Path, name: str) -> Contents:
    try:
        found = files_below(path)
        sizes = {key: file.stat().st_size for key, file in found.items()}
    except OSError as error:
        raise UserError(
            subject=name,
            problem=f"cannot be read: {error.strerror}",
        ) from None
    return Contents(form="folder", sizes=sizes, open=lambda key: found[key].open("rb"), name=name)


def _tar(path: Path, name: str, *, form: str) -> Contents:
    with open_archive(path, name=name, limits=ARTIFACT_LIMITS) as tar:
        listed = check_members(tar, name=name, limits=ARTIFACT_LIMITS)
    members = {PurePosixPath(member.name).as_posix(): member for member in listed}

    @contextlib.contextmanager
    def read(key: str) -> Iterator[IO[bytes]]:
        with open_archive(path, name=name, limits=ARTIFACT_LIMITS) as tar:
            yield open_member(tar, members[key])

    sizes = {key: member.size for key, member in members.items() if member.isfile()}
    shown = {key: size for key, size in sizes.items() if not _is_hidden(key)}
    return Contents(form=form, sizes=shown, open=read, name=name)


def _keras(path: Path, name: str) -> Contents:
    with _zipped(path, name) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    if "config.json" not in sizes or "metadata.json" not in sizes:
        raise UserError(
            subject=name,
            problem="a zip file, but no Keras model: it has no config.json",
        )
    if max(sizes["config.json"], sizes["metadata.json"]) > MOST_JSON:
        raise UserError(
            subject=name,
            problem="no Keras model has a configuration of more than 32 MiB",
        )
    if sum(sizes.values()) > ZIP_SIZE:
        raise UserError(
            subject=name,
            problem=f"more than {ZIP_SIZE / 2**30:.0f} GiB unpacked",
        )
    with _zipped(path, name) as archive:
        damaged = archive.testzip()
    if damaged:
        raise UserError(
            subject=name,
            problem=f"not a whole .keras file: its {printable(damaged)} is damaged",
        )

    @contextlib.contextmanager
    def read(key: str) -> Iterator[IO[bytes]]:
        with _zipped(path, name) as archive, archive.open(key) as file:
            yield file

    return Contents(form="keras", sizes=sizes, open=read, name=name)


@contextlib.contextmanager
def _zipped(path: Path, name: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DAMAGED_ZIP as error:
        raise UserError(
            subject=name,
            problem=f"not a whole .keras file: {error}",
        ) from None


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in name.split("/"))
