"""A cheap fingerprint of training or test data, by which hosts find that they have other data."""

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

# Files whose last bytes are read. Checksums stand there (TFRecord, gzip), so that files of one name
# and one size are told apart; each of them may be a request to a mounted object store.
PROBED = 8
_TAIL = 4096
# A module of the user's own may name a folder of millions of images.
MOST_FILES = 100_000


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Facts about data that are known without reading it.

    Attributes:
        text: For people.
        entries: A name and what is known of it for each file, in the order of reading.
    """

    text: str
    entries: tuple[tuple[str, str], ...] = ()


def fingerprint_of(
    paths: Sequence[str], *, split: Split, flag: str, own_reader: bool = False
) -> Fingerprint:
    """Return names, sizes and last bytes of the files that some paths name.

    What is in a store is not listed: the address is the same data for whoever reads it.

    Args:
        paths: Files, folders, globs and urls.
        split: Which split is wanted of folders that hold both.
        flag: What named the paths, for errors.
        own_reader: Whether a module of the user's own reads them, by rules of its own.

    Raises:
        DataError: Nothing is there, or it cannot be looked at.
    """
    if not paths:
        return Fingerprint(text="none given" if own_reader else "synthetic digits")
    urls = [_address(path) for path in paths if is_remote(path)]
    local = [local_path(path, flag=flag) for path in paths if not is_remote(path)]
    try:
        if own_reader:
            found = _all_below(local)
        else:
            # By their names alone: `--train data` and `--train data/train` may be the same files.
            found = [(f.name, f) for f in files.chosen(local, split=split, flag=flag)]
        sizes = [file.stat().st_size for _, file in found]
        entries = [(name, str(size)) for (name, _), size in zip(found, sizes, strict=True)]
        for i in range(0, len(found), max(1, -(-len(found) // PROBED))):
            entries[i] = found[i][0], f"{sizes[i]}, {_tail(found[i][1], sizes[i])}"
    except OSError as error:
        what = error.filename or " ".join(local)
        raise DataError(
            subject=f"{flag} {what}",
            problem=f"cannot be read: {error.strerror}",
        ) from None
    count = f"{len(found):,} file{'s'[: len(found) != 1]}, {sum(sizes):,} bytes"
    if len(found) > MOST_FILES:
        count, entries = f"more than {MOST_FILES:,} files", []
    missing = [path for path in local if own_reader and not found]
    return Fingerprint(
        text=" and ".join([*urls, *([count] if found else missing)]),
        entries=(*((url, "") for url in urls), *entries, *((path, "") for path in missing)),
    )


def _address(url: str) -> str:
    return re.sub("^gcs://", "gs://", url).rstrip("/")


def _all_below(paths: Sequence[str]) -> list[tuple[str, Path]]:
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

    # What is not there may be a name that only the module understands.
    paths = globs.expanded(paths)
    return list(itertools.islice((f for path in paths for f in walk(path)), MOST_FILES + 1))


def _tail(file: Path, size: int) -> str:
    """Return a checksum of a file's last bytes."""
    with file.open("rb") as opened:
        opened.seek(max(0, size - _TAIL))
        return f"{zlib.crc32(opened.read(_TAIL)):08x}"
