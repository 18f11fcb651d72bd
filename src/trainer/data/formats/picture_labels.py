"""Labels of pictures: by a list that lies beside them, or by the folders they lie in."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.config import PART_WORDS, PARTS_OF, DataError, Split, part_of, split_words
from trainer.data.formats.picture_listing import CLASSES_FILE, Listing, find_listings
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.table import check_labels
from trainer.storage import globs

# Suffixes of pictures, in lower case.
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp")
# Words in the names of folders beside which, not in which, a list of their pictures may lie.
_ABOVE = frozenset(("images", "imgs", "img", "pictures", "photos", "jpegimages", "data"))
_EXPECTED = (
    "make a folder for each class, or a labels.csv beside them with the columns file and label"
)


@dataclass(frozen=True)
class LabelledPictures:
    """Files of pictures and what is known of their labels.

    Attributes:
        paths: The files.
        labels: int32 [n].
        class_names: The names of the classes by label; none if labels are listed as numbers.
        note: Where the labels come from, for the log.
    """

    paths: list[str]
    labels: np.ndarray
    class_names: tuple[str, ...]
    note: str


def label_pictures(paths: Sequence[str], options: ReadOptions) -> LabelledPictures:
    """Find the labels of the pictures of a split.

    The classes are those of all splits that lie side by side, such as `train` and `test` in one
    folder, so that a label means the same in each. They are sorted by name, unless `classes.txt`
    has them line by line.

    Args:
        paths: The files.
        options: The split, and what the user says about classes and columns.

    Raises:
        DataError: A picture has no label, or there is one class only.
    """
    folders = sorted({_split(path)[0] for path in paths})
    root = Path(os.path.commonpath(folders)) if all(folders) else Path()
    places = _places(root)
    listings = find_listings(places, options)
    classes = options.class_names or _named_classes(places)
    if listings:
        return _by_listing(paths, listings, classes, options.split)
    return _by_folder(paths, folders, root, classes, options.split)


def _places(root: Path) -> list[Path]:
    """Return the folders in which lists may lie: that of the pictures, and some above."""
    root = root.absolute()
    places = [root]
    while len(places) < 3 and _ABOVE.union(PART_WORDS).issuperset(split_words(places[-1].name)):
        places.append(places[-1].parent)
    return places


def _named_classes(places: Sequence[Path]) -> tuple[str, ...]:
    for place in places:
        try:
            lines = (place / CLASSES_FILE).read_text("utf-8-sig").splitlines()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeError) as error:
            raise DataError(
                subject=place / CLASSES_FILE, problem=f"cannot be read: {error}"
            ) from None
        return tuple(name for line in lines if (name := line.strip()))
    return ()


def _by_listing(
    paths: Sequence[str], listings: Sequence[Listing], classes: tuple[str, ...], split: Split
) -> LabelledPictures:
    own = _of_split(listings, split)
    found = sorted(pair for listing in own for pair in listing.match(paths))
    where = str(own[0].path)
    if not found:
        raise DataError(subject=where, problem=f"lists none of the {len(paths):,} pictures")
    texts = [label for _, label in found]
    names = {label for listing in listings for label, _ in listing.labels.values()}
    left = len(set(paths)) - len({path for path, _ in found})
    note = f"labels by {own[0].path.name}" + (f", which lacks {left:,} pictures" if left else "")
    if names.issubset(classes) or not all(map(_is_number, names)):
        classes = _ordered(names, classes, where)
        labels = _numbers(texts, classes)
    else:
        labels = np.array([int(text) for text in texts], np.int64)
        labels = check_labels(labels, where=where, numbers=np.arange(len(texts)))
        if classes and labels.max() >= len(classes):
            raise DataError(
                subject=where, problem=f"label {labels.max()} has no name: {len(classes)} are given"
            )
    return LabelledPictures([path for path, _ in found], labels, classes, note)


def _of_split(listings: Sequence[Listing], split: Split) -> list[Listing]:
    """Return the lists of a split by their names, or else those that name no part of the data."""
    by_part: dict[str | None, list[Listing]] = {}
    for listing in listings:
        by_part.setdefault(part_of([listing.path.stem]), []).append(listing)
    for part in (*PARTS_OF[split], None):
        if part in by_part:
            return by_part[part]
    names = ", ".join(listing.path.name for listing in listings)
    raise DataError(
        subject=listings[0].path.parent, problem=f"no list of {split} pictures, only {names}"
    )


def _by_folder(
    paths: Sequence[str],
    folders: Sequence[str],
    root: Path,
    classes: tuple[str, ...],
    split: Split,
) -> LabelledPictures:
    for folder in folders:
        above, name = _split(folder)
        if above in folders:
            raise DataError(
                subject=above,
                problem=f"holds both pictures and a folder of pictures, {name}",
                remedy="move the pictures, or the folder, to where the classes are",
            )
    own = {_split(folder)[1] for folder in folders}
    splits = _other_splits(root, is_class=len(folders) == 1)
    trained = {name for folder, names in splits if part_of([folder]) == "train" for name in names}
    if split != "train" and trained and not own <= trained:
        raise DataError(
            subject=root,
            problem=f"{_shown(own - trained)} is no folder of the training data, which has "
            f"{_shown(trained)}",
        )
    names = own.union(*(names for _, names in splits))
    if len(names) < 2 and len(classes) < 2:
        raise DataError(
            subject=root,
            problem="all pictures lie in one folder, which gives them no labels",
            remedy=_EXPECTED,
        )
    classes = _ordered(names, classes, str(root))
    labels = _numbers([path.rsplit("/", 2)[-2] for path in paths], classes)
    return LabelledPictures(list(paths), labels, classes, "labels by folder")


def _other_splits(root: Path, *, is_class: bool) -> list[tuple[str, set[str]]]:
    """Return the names of splits beside that of the pictures, with the classes of each.

    They are called as that one is but for the word that names the part, such as `train_images` and
    `test_images`.

    Args:
        root: The folder of all pictures of the split.
        is_class: True if they lie in it, so that it may be the only class of the split.
    """
    root = root.absolute()
    own = root.parent if is_class and part_of([root.parent.name]) else root
    if part_of([own.name]) is None:
        return []

    def others(name: str) -> list[str]:
        return [word for word in split_words(name) if word not in PART_WORDS]

    return [
        (entry.name, _classes_below(entry.path))
        for entry in os.scandir(own.parent)
        if entry.name != own.name
        and part_of([entry.name])
        and others(entry.name) == others(own.name)
        and entry.is_dir()
    ]


def _classes_below(top: str) -> set[str]:
    """Return the names of the folders that pictures lie in."""
    return {
        _split(folder)[1]
        for folder, _, names in os.walk(top, followlinks=True)
        if any(name.lower().endswith(SUFFIXES) and name[0] not in globs.HIDDEN for name in names)
    }


def _ordered(names: set[str], classes: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Return the classes in the order of their labels.

    Raises:
        DataError: The order that was given lacks one.
    """
    if not classes:
        return tuple(sorted(names))
    if missing := names.difference(classes):
        raise DataError(
            subject=where,
            problem=f"class {_shown(missing)} is not among those of the training data, "
            f"{CLASSES_FILE} or --classes: {_shown(classes)}",
        )
    return classes


def _numbers(texts: Sequence[str], classes: tuple[str, ...]) -> np.ndarray:
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[text] for text in texts], np.int64)
    return check_labels(labels, where="", numbers=np.arange(len(texts)))


def _split(path: str) -> tuple[str, str]:
    """Return folder and name; `pathlib` takes ten times as long, which counts for a million."""
    folder, _, name = path.rpartition("/")
    return folder, name


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _shown(names: Collection[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = len(names) - 5
    return ", ".join(sorted(names)[:5]) + (f" and {more} more" if more > 0 else "")
