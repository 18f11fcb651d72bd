"""A cheap fingerprint of data, by which hosts find out that they were given different data."""

from __future__ import annotations

import itertools
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.config import DataError, Split
from trainer.data import files
from trainer.storage import globs, is_remote, local_path

# The number of files whose last bytes are read. Checksums stand there (TFRecord, gzip), by which
# files of one name and one size differ; each may cost a request to a mounted object store.
PROBED = 8
_TAIL = 4096
# The most files that are looked at: a user's module may name a folder of millions of images.
MOST_FILES = 100_000


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Facts about data that are known without reading it.

    Attributes:
        text: Number and size of the files, for people.
        entries: The name of each file and facts about it, in the order of reading.
    """

    text: str
    entries: tuple[tuple[str, str], ...] = ()


def fingerprint_of(
    paths: Sequence[str],
    *,
    split: Split,
    flag: str,
    own_reader: bool = False,
    most_files: int = MOST_FILES,
) -> Fingerprint:
    """Return names, sizes and last bytes of the files that some paths name.

    Urls of stores are not listed: an address is the same data on every host.

    Args:
        paths: Files, folders, globs and urls.
        split: The split that is wanted of folders that hold both.
        flag: The flag that named the paths, for errors.
        own_reader: True if a module of the user's own reads them, by rules of its own.
        most_files: The most files of such a module's that are looked at.

    Raises:
        DataError: Nothing is there, or it cannot be looked at.
    """
    if not paths:
        return Fingerprint(text="none given" if own_reader else "synthetic digits")
    urls = [_address(path) for path in paths if is_remote(path)]
    local = [local_path(path, flag=flag) for path in paths if not is_remote(path)]
    try:
        if own_reader:
            found = _all_below(local, most_files)
        else:
            # By their names alone: `--train data` and `--train data/train` may be the same files.
            found = [(f.name, f) for f in files.chosen(local, split=split, flag=flag)]
        sizes = [file.stat().st_size for _, file in found]
        entries = [(name, str(size)) for (name, _), size in zip(found, sizes, strict=True)]
        for i in range(0, len(found), max(1, -(-len(found) // PROBED))):
            entries[i] = found[i][0], f"{sizes[i]}, {_tail(found[i][1], sizes[i])}"
    except OSError as error:
        path = error.filename or " ".join(local)
        raise DataError(
            subject=f"{flag} {path}",
            problem=f"cannot be read: {error.strerror}",
        ) from None
    count = f"{len(found):,} file{'s'[: len(found) != 1]}, {sum(sizes):,} bytes"
    if len(found) > most_files:
        count, entries = f"more than {most_files:,} files", []
    missing = [path for path in local if own_reader and not found]
    return Fingerprint(
        text=" and ".join([*urls, *([count] if found else missing)]),
        entries=(*((url, "") for url in urls), *entries, *((path, "") for path in missing)),
    )


def _address(url: str) -> str:
    return re.sub("^gcs://", "gs://", url).rstrip("/")


def _all_below(paths: Sequence[str], most: int) -> list[tuple[str, Path]]:
    """Return all files but hidden ones by their names below each path; not too many."""

    def walk(path: str) -> Iterator[tuple[str, Path]]:
        if Path(path).is_file():
            yield Path(path).name, Path(path)
        for folder, below, names in os.walk(path, followlinks=True):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in sorted(names):
                file = Path(folder, name)
                if not name.startswith(".") and file.is_file():
                    yield os.path.relpath(file, path), file

    # A path that does not exist may be a name that only the module understands.
    paths = globs.expanded(paths)
    return list(itertools.islice((f for path in paths for f in walk(path)), most + 1))


def _tail(file: Path, size: int) -> str:
    """Return a checksum of a file's last bytes."""
    with file.open("rb") as opened:
        opened.seek(max(0, size - _TAIL))
        return f"{zlib.crc32(opened.read(_TAIL)):08x}"
