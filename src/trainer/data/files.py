"""Open the data that `--train` and `--test` name: files are found by folder, glob and split."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from trainer.config import PARTS_OF, TEST_PARTS, DataError, Part, Split, part_of
from trainer.data import pictures
from trainer.data.adapted import adapted
from trainer.data.folder_contents import FolderContents
from trainer.data.folders import scan_path
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.formats.registry import FORMATS, accepted
from trainer.data.formats.table import Table
from trainer.data.recognise import DataFiles, parts_in, recognise
from trainer.data.synthetic.embedded import SyntheticTable
from trainer.storage import globs

logger = logging.getLogger(__name__)

# Names of the files of a set, as TensorFlow, Beam and `trainer data create` write them.
SHARD = re.compile(r"(.*?)(\d{5})-of-(\d{5})(?!\d)")


def open_tables(
    paths: Sequence[str],
    *,
    split: Split,
    flag: str | None = None,
    skip_corrupt: int = 0,
    options: ReadOptions = DEFAULTS,
) -> list[Table]:
    """Open the data that some paths name.

    Args:
        paths: Files, folders (searched to any depth) and globs; none: the synthetic digits.
        split: The split that is wanted of folders that hold both.
        flag: The flag that named them, for errors; by default `--<split>`.
        skip_corrupt: The most damaged records that may be left out, all files together.
        options: How to read them otherwise.

    Returns:
        At least one table; all of one kind, in the order of their names.

    Raises:
        DataError: Nothing is there, a file is no data or damaged, or kinds are mixed.
    """
    if not paths:
        return adapted([SyntheticTable(split)], options)
    flag = flag or f"--{split}"
    found = find(paths, split=split, flag=flag)
    options = dataclasses.replace(options, split=split, skip_corrupt=skip_corrupt > 0)
    tables = found.open(options, flag=flag)
    damage = [line for table in tables for line in table.damage]
    if len(damage) > skip_corrupt:
        raise DataError(
            subject="",
            problem=f"{len(damage)} damaged records, more than --skip-corrupt {skip_corrupt}; "
            f"the first: {damage[0]}",
        )
    if not sum(map(len, tables)):
        raise DataError(
            subject=flag,
            problem=f"{' '.join(paths)} holds no records",
        )
    for note in dict.fromkeys(table.note for table in tables if table.note):
        logger.info("%s: %s", flag, note)
    return adapted(tables, options)


def find(paths: Sequence[str], *, split: Split, flag: str | None = None) -> DataFiles:
    """Find the files of a split, and recognise their format by their first bytes.

    Args:
        paths: Files, folders and globs, one at least.
        split: The split that is wanted of folders that hold both.
        flag: The flag that named them, for errors; by default `--<split>`.

    Raises:
        DataError: Nothing is there, a file is no data, or formats are mixed.
    """
    flag = flag or f"--{split}"
    files = chosen(paths, split=split, flag=flag)
    return recognise(files, flag=flag, named=set(map(Path, paths)))


def chosen(paths: Sequence[str], *, split: Split, flag: str) -> list[Path]:
    """Return the files of a split in the order of reading, without opening them.

    Raises:
        DataError: Nothing is there.
    """
    with _readable(flag):
        return list(dict.fromkeys(_choose(_look_at(paths, flag=flag), split=split, flag=flag)))


def holds_split(paths: Sequence[str], split: Split) -> bool:
    """Return whether some folder or glob of `paths` holds files named for `split`."""
    return holds_part(paths, TEST_PARTS if split == "test" else (split,))


def splits_in(paths: Sequence[str]) -> list[Split]:
    """Return the splits that names in some paths tell of; none if nothing names one."""
    parts: dict[Split, tuple[Part, ...]] = {
        "train": ("train",), "validation": ("validation",), "test": ("test", "eval"),
    }  # fmt: skip
    return [split for split, named in parts.items() if holds_part(paths, named)]


def holds_part(paths: Sequence[str], parts: Collection[Part]) -> bool:
    """Return whether some folder or glob of `paths` holds files named for one of some parts.

    A file that is named itself is used for whatever it is given for, whatever its name. One that
    holds several parts of the data, as an npz may, is looked into.
    """
    holders = tuple(end for form in FORMATS.values() if form.holds_parts for end in form.suffixes)
    with _readable():
        for path in map(Path, paths):
            if path.is_file():
                named = parts_in(path)
            else:
                files = scan_path(path)
                named = set(_parts(path, files))
                for file in files.files:
                    named |= parts_in(file) if file.name.lower().endswith(holders) else set()
            if named & {*parts}:
                return True
    return False


@contextlib.contextmanager
def _readable(flag: str = "") -> Iterator[None]:
    """Turn the error of a file or folder that may not be looked at into a DataError.

    Args:
        flag: The flag that named it, if one did.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            subject=f"{flag} {error.filename}".lstrip(),
            problem=f"cannot be read: {error.strerror or error}",
        ) from None


def notes(
    train: Sequence[str],
    test: Sequence[str],
    validation: Sequence[str] = (),
    *,
    shared: bool = False,
) -> list[str]:
    """Return lines on files that lie among the data and are not used.

    Args:
        train: The paths that are trained on.
        test: The paths that are tested on.
        validation: The paths that are evaluated on during the training.
        shared: True if other hosts have the shards that are not there.

    Raises:
        DataError: As from `find`.
    """
    paths: dict[Split, Sequence[str]] = {"train": train, "test": test, "validation": validation}
    with _readable():
        looked = {split: _look_at(named, flag=f"--{split}") for split, named in paths.items()}
    used = {f for split, at in looked.items() for f in _choose(at, split=split, flag=f"--{split}")}
    helds = [held for at in looked.values() for _, held in at]
    unused = sorted({file for held in helds for file in held.files} - used)
    empty = sorted({file for held in helds for file in held.empty})
    lines = [f"not used: {_listed(map(str, unused))}"] if unused else []
    lines += [f"without a record: {_listed(map(str, empty))}"] if empty else []
    return lines if shared else lines + _missing({*used, *empty})


def _missing(files: Iterable[Path]) -> list[str]:
    """Return a line for each set of shards, by their names, of which some are not there."""
    shards: dict[tuple[Path, str, int], set[int]] = {}
    for file in files:
        if match := SHARD.match(file.name):
            name, number, total = match[1], int(match[2]), int(match[3])
            shards.setdefault((file.parent, name, total), set()).add(number)
    return [
        f"{folder / name}*-of-{total:05d}: only {len(numbers)} of {total} files are there"
        for (folder, name, total), numbers in sorted(shards.items())
        if len(numbers) < total
    ]


def _look_at(paths: Sequence[str], *, flag: str) -> list[tuple[Path, FolderContents]]:
    return [(path, _held(path, flag=flag)) for path in map(Path, paths)]


def _choose(
    looked: Sequence[tuple[Path, FolderContents]], *, split: Split, flag: str
) -> list[Path]:
    """Return the files that belong to `split`; to evaluate on, those of one part of the data."""
    named = [(path, _parts(path, held)) for path, held in looked]
    parts = PARTS_OF[split]
    wanted = next((part for part in parts if any(part in by for _, by in named)), parts[0])
    found: list[Path] = []
    for path, by in named:
        files = by.get(wanted) or by.get(None)
        if files:
            found += files
        elif not any(part in by for part in parts):
            others = " and ".join(sorted(str(part) for part in by))
            first = min(file for files in by.values() for file in files)
            raise DataError(
                subject=f"{flag} {path}",
                problem=f"holds {others} data only ({first.name}, …)",
                remedy="name the files themselves if they are meant",
            )
    return found


def _held(path: Path, *, flag: str) -> FolderContents:
    """Return the files that a path names.

    Raises:
        DataError: There is no data.
    """
    held = scan_path(path)
    if held.files:
        return held
    if held.empty or held.beside:
        names = [f"{file.name} (without a byte)" for file in held.empty] + held.beside
        problem = f"holds only {_listed(names)}, of which nothing is read"
    elif path.is_dir():
        problem = "is empty"
    else:
        problem = "is neither a file nor a folder" if path.exists() else "does not exist"
    raise DataError(
        subject=f"{flag} {path}",
        problem=problem,
        remedy=f"give files, folders or globs of {accepted()}",
    )


def _parts(path: Path, held: FolderContents) -> dict[Part | None, list[Path]]:
    """Return the files of a path by the part of the data that their names say."""
    if held.files == [path]:
        return {None: held.files}
    top = path if path.is_dir() else globs.root(path)
    if held.files and all(pictures.is_picture(file.name) for file in held.files):
        return pictures.parts_of_pictures(held.files, top)
    parts: dict[Part | None, list[Path]] = {}
    for file in held.files:
        parts.setdefault(part_of(file.relative_to(top).parts), []).append(file)
    return parts


def _listed(names: Iterable[str]) -> str:
    """Return the first of some names, and how many more there are."""
    all_names = list(names)
    more = len(all_names) - 3
    return ", ".join(all_names[:3]) + (f" and {more} more" if more > 0 else "")
