"""Lists of pictures and their labels: a CSV that lies beside them."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.config import DataError, part_of
from trainer.data.formats.read_options import ReadOptions

CLASSES_FILE = "classes.txt"

LIST_SUFFIXES = (".csv", ".tsv")
# Words in the names of such files; those that name a part of the data, such as `train.csv`, count
# as well.
_WORDS = frozenset(("label", "labels", "annotations", "metadata", "classes"))
# Names of the two columns, in lower case, the first come first.
_FILES = (
    "file", "filename", "file_name", "image", "image_name", "image_file", "img", "picture", "photo",
    "path", "filepath", "file_path", "image_path", "image_id", "id_code", "id", "name",
)  # fmt: skip
_LABELS = ("label", "labels", "class", "class_name", "target", "category", "y")


@dataclass(frozen=True)
class Listing:
    """The names of pictures in a file, with the label of each.

    Attributes:
        path: The file.
        labels: Label and line by the name of the picture.
    """

    path: Path
    labels: dict[str, tuple[str, int]]

    def match(self, pictures: Sequence[str]) -> list[tuple[str, str]]:
        """Return the pictures that are listed, with their labels.

        A picture is listed by its path from the folder of the list, by its name alone, or by its
        name without the suffix.

        Args:
            pictures: The files of one part of the data.

        Raises:
            DataError: A picture that is listed is not there, or a name fits several.
        """
        folder = self.path.parent
        by_path = {os.path.relpath(path, folder): path for path in pictures}
        by_name: dict[str, list[str]] = {}
        for path in pictures:
            name = path.rpartition("/")[2]
            for each in {name, name.rpartition(".")[0]}:
                by_name.setdefault(each, []).append(path)
        found = []
        elsewhere: set[str] | None = None
        for listed, (label, line) in self.labels.items():
            name = listed.replace("\\", "/").removeprefix("./")
            last = name.rpartition("/")[2]
            if name in by_path:
                paths = [by_path[name]]
            elif "/" in name and (folder / name).exists():
                continue
            else:
                paths = by_name.get(last, [])
            if len(paths) > 1:
                raise DataError(
                    subject=f"{self.path}, line {line}",
                    problem=f"{listed} may be {paths[0]} or {paths[1]}",
                    remedy="list pictures by their paths from the folder of this file",
                )
            if paths:
                found.append((paths[0], label))
                continue
            # One list may serve all parts of the data.
            elsewhere = _names_below(folder) if elsewhere is None else elsewhere
            if last not in elsewhere:
                raise DataError(
                    subject=f"{self.path}, line {line}",
                    problem=f"{listed} is not there",
                )
        return found


def _names_below(folder: Path) -> set[str]:
    """Return the names of all files in a folder, to any depth, with and without suffix."""
    files = [name for _, _, names in os.walk(folder, followlinks=True) for name in names]
    return {*files, *(name.rpartition(".")[0] for name in files)}


def is_listing(name: str) -> bool:
    """Return whether a file may list pictures by its name in lower case."""
    stem, dot, suffix = name.rpartition(".")
    words = re.split(r"[^a-z0-9]+", stem)
    is_named = bool(_WORDS.intersection(words)) or part_of([stem]) is not None
    return dot + suffix in LIST_SUFFIXES and is_named


def find_listings(folders: Iterable[Path], options: ReadOptions) -> tuple[Listing, ...]:
    """Return the lists in the first folder that has some.

    Args:
        folders: Where to look.
        options: `features` may name the columns `image` and `label`.

    Raises:
        DataError: One cannot be read.
    """
    for folder in folders:
        files = sorted(file for file in folder.iterdir() if is_listing(file.name.lower()))
        found = [listing for file in files if (listing := _read(file, options))]
        if found:
            return tuple(found)
    return ()


def _read(path: Path, options: ReadOptions) -> Listing | None:
    """Read a list; None if it has not the two columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=head.count)
            rows = csv.reader(file, delimiter=delimiter)
            columns = [column.strip() for column in next(rows, [])]
            wanted = dict(options.features)
            image = _column(columns, wanted.get("image"), _FILES)
            label = _column(columns, wanted.get("label"), _LABELS)
            if image is None or label is None:
                return None
            return Listing(path, _labels(rows, image, label, path))
    except OSError as error:
        raise DataError(subject=path, problem=f"cannot be read: {error.strerror}") from None
    except (csv.Error, UnicodeError) as error:
        raise DataError(subject=path, problem=f"is no CSV in UTF-8 ({error})") from None


def _column(columns: Sequence[str], name: str | None, names: Sequence[str]) -> int | None:
    if name is not None:
        return columns.index(name) if name in columns else None
    lower = [column.lower() for column in columns]
    return next((lower.index(each) for each in names if each in lower), None)


def _labels(
    rows: Iterable[list[str]], image: int, label: int, path: Path
) -> dict[str, tuple[str, int]]:
    labels: dict[str, tuple[str, int]] = {}
    for line, row in enumerate(rows, 2):
        if not row:
            continue
        values = [row[i].strip() if i < len(row) else "" for i in (image, label)]
        if not all(values):
            missing = "file" if not values[0] else "label"
            raise DataError(subject=f"{path}, line {line}", problem=f"names no {missing}")
        name, text = values
        before, at = labels.setdefault(name, (text, line))
        if before != text:
            raise DataError(
                subject=f"{path}, line {line}",
                problem=f"{name} is {text} here and {before} in line {at}",
            )
    return labels
