"""From the paths of `--train` and `--test` to tables: found by folder or glob, told by content."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from trainer import globs
from trainer.data import idx, npy
from trainer.data.embedded import SyntheticTable
from trainer.data.framing import is_tfrecord
from trainer.data.reader import GZIP_MAGIC
from trainer.data.table import Table
from trainer.data.tfrecord import TFRecordTable
from trainer.errors import DataError

Split = Literal["train", "test"]

# Words in a file's or folder's name that say which split it holds.
SPLIT_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "t10k", "eval", "evaluation", "val", "valid"), "test"),
    "validation": "test",
}
# What commonly lies beside data and is none: passed over in folders.
NO_DATA = re.compile(
    r"[._].*|readme.*|license.*|.*\.(md|txt|json|ya?ml|csv|html|pdf|crc|md5|sha256)"
)
ACCEPTED = "TFRecord, IDX (gzipped or not) or npy"


def open_tables(
    paths: Sequence[str], *, split: Split, flag: str | None = None, skip_corrupt: int = 0
) -> list[Table]:
    """Open the data that some paths name.

    Args:
        paths: Files, folders (searched to any depth) and globs; none: the synthetic digits.
        split: Which split is wanted of folders that hold both.
        flag: What to call `paths` in an error; by default `--<split>`.
        skip_corrupt: How many damaged records may be left out, all files together.

    Returns:
        At least one table; all of one kind, in the order of their names.

    Raises:
        DataError: Nothing is there, a file is no data or damaged, or kinds are mixed.
    """
    if not paths:
        return [SyntheticTable(split)]
    flag = flag or f"--{split}"
    kinds = find(paths, split=split, flag=flag)
    if "tfrecord" in kinds:
        tables: list[Table] = [
            TFRecordTable(file, skip_corrupt=skip_corrupt > 0) for file in kinds["tfrecord"]
        ]
    else:
        form = next(iter(kinds)).split()[0]
        table = idx.IdxTable if form == "idx" else npy.NpyTable
        images, labels = kinds.get(f"{form} images", []), kinds.get(f"{form} labels", [])
        tables = [table(a, b) for a, b in _pairs(images, labels, flag=flag)]
    damage = [line for table in tables for line in table.damage]
    if len(damage) > skip_corrupt:
        raise DataError(
            f"{len(damage)} damaged records, more than --skip-corrupt {skip_corrupt}; the first: "
            + damage[0]
        )
    if not sum(map(len, tables)):
        raise DataError(f"{flag}: {' '.join(paths)} holds no records")
    return tables


def find(paths: Sequence[str], *, split: Split, flag: str | None = None) -> dict[str, list[Path]]:
    """Find the files of a split, and tell their kinds by their first bytes.

    Args:
        paths: Files, folders and globs.
        split: Which split is wanted of folders that hold both.
        flag: What to call `paths` in an error; by default `--<split>`.

    Returns:
        Files by kind: `tfrecord`, or `idx` or `npy` with `images` or `labels`.

    Raises:
        DataError: Nothing is there, a file is no data, or kinds are mixed.
    """
    flag = flag or f"--{split}"
    kinds: dict[str, list[Path]] = {}
    for file in chosen(paths, split=split, flag=flag):
        kinds.setdefault(_kind(file), []).append(file)
    formats = sorted({kind.split()[0] for kind in kinds})
    if len(formats) > 1:
        named = ", ".join(f"{kinds[k][0].name} ({k})" for k in sorted(kinds))
        raise DataError(f"{flag}: {' and '.join(formats)} files are mixed: {named}; give one kind")
    return kinds


def chosen(paths: Sequence[str], *, split: Split, flag: str) -> list[Path]:
    """Return the files of a split in the order of reading, without opening them.

    Raises:
        DataError: Nothing is there.
    """
    found = (f for p in paths for f in _choose(Path(p), split=split, flag=flag))
    return list(dict.fromkeys(found))


def holds_split(paths: Sequence[str], split: Split) -> bool:
    """Whether some folder or glob of `paths` holds files named for `split`."""
    return any(
        _split_of(file, below=_root(path)) == split
        for path in map(Path, paths)
        # A file named by itself is meant for what it is given for, whatever its name.
        if not path.is_file()
        for file in expand(path)
    )


def expand(path: Path) -> list[Path]:
    """The data files that a file, folder or glob names, in the order of their names.

    Raises:
        OSError: It cannot be read.
    """
    if path.is_file():
        return [path]
    found: Iterable[Path] = [path]
    if path.is_dir():
        # To raise: a search passes over what it may not read.
        os.scandir(path).close()
    else:
        found = globs.find(path)
    # A glob may match folders.
    files = {f for p in found for f in ([p] if p.is_file() else p.rglob("*")) if f.is_file()}
    root = _root(path)
    return sorted(
        file
        for file in files
        if not NO_DATA.fullmatch(file.name.lower())
        and not any(folder.startswith(".") for folder in file.relative_to(root).parts[:-1])
        # Of a file that is there gzipped and unpacked, one will do.
        and not (file.suffix == ".gz" and file.with_suffix("") in files)
    )


def is_data(name: str) -> bool:
    """Return whether a file of a folder may be data by its path in there."""
    *folders, last = name.split("/")
    return not NO_DATA.fullmatch(last.lower()) and not any(f.startswith(".") for f in folders)


def _choose(path: Path, *, split: Split, flag: str) -> list[Path]:
    """The files at `path` that belong to `split`."""
    try:
        files = expand(path)
    except OSError as error:
        raise DataError(f"{flag} {path}: cannot be read: {error.strerror}") from None
    if not files:
        what = "is empty" if path.is_dir() else "does not exist"
        raise DataError(f"{flag} {path}: {what}; give files, folders or globs of {ACCEPTED}")
    if files == [path]:
        return files
    named: dict[Split | None, list[Path]] = {}
    for file in files:
        named.setdefault(_split_of(file, below=_root(path)), []).append(file)
    chosen = named.get(split) or named.get(None)
    if not chosen:
        other = next(iter(named))
        raise DataError(
            f"{flag} {path}: holds {other} data only ({files[0].name}, …); "
            "name the files themselves if they are meant"
        )
    return chosen


def _root(path: Path) -> Path:
    """The folder below which the names of folders count: what comes before any wildcard."""
    return path if path.is_dir() else globs.root(path)


def _split_of(file: Path, *, below: Path) -> Split | None:
    """The split that a file's name says, or else that of the nearest folder under `below`."""
    for part in reversed(file.relative_to(below).parts):
        for word in re.split(r"[^a-z0-9]+", part.lower()):
            if word in SPLIT_WORDS:
                return SPLIT_WORDS[word]
    return None


def _kind(path: Path) -> str:
    """What a file is by its first bytes: `tfrecord`, or `idx` or `npy` with `images` or `labels`.

    Raises:
        DataError: It is empty, or none of these.
    """
    try:
        with path.open("rb") as file:
            head = file.read(128)
        packed = head.startswith(GZIP_MAGIC)
        if packed:
            with gzip.open(path) as file:
                head = file.read(128)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); fetch it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if not head:
        raise DataError(f"{path}: is empty, expected {ACCEPTED}")
    if shape := idx.dimensions(head):
        return "idx images" if len(shape) == 3 else "idx labels"
    if head.startswith(npy.MAGIC) and not packed:
        return "npy images" if len(npy.header(path)[0]) > 1 else "npy labels"
    # One whose first record is damaged is known by its name, so that the damage can be named.
    if (is_tfrecord(head) or ".tfrec" in path.name.lower()) and not packed:
        return "tfrecord"
    if packed and (is_tfrecord(head) or head.startswith(npy.MAGIC)):
        raise DataError(f"{path}: gzipped TFRecord and npy files are not read; unpack it: gunzip")
    raise DataError(f"{path}: is neither {ACCEPTED}: it begins with the bytes {head[:8].hex(' ')}")


def _pairs(images: list[Path], labels: list[Path], *, flag: str) -> list[tuple[Path, Path]]:
    """Match each file of images with its labels, by what their names have in common."""
    if len(images) == len(labels) == 1:
        return [(images[0], labels[0])]
    by_key = {_pair_key(path): path for path in labels}
    pairs = [(path, by_key.pop(_pair_key(path), None)) for path in images]
    alone = [path for path, mate in pairs if mate is None] + list(by_key.values())
    if alone:
        what = "labels" if alone[0] in images else "images"
        raise DataError(f"{flag}: no file of {what} goes with {alone[0]}")
    return [(path, mate) for path, mate in pairs if mate is not None]


def _pair_key(path: Path) -> tuple[Path, str]:
    """A name without the words that tell images from labels, and its folder."""
    words = r"images?|labels?|data|idx[13]|(?<![a-z])[xy](?![a-z])|\.gz$"
    return path.parent, re.sub(words, "", path.name.lower())
