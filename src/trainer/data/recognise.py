"""Recognise the formats of data files by their content, and pair images with labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.config import DataError, Part
from trainer.data.formats.array_names import pair_key
from trainer.data.formats.compressed import packing_of
from trainer.data.formats.file_reader import read_head
from trainer.data.formats.format import HEAD_BYTES, Estimate, Format, Role
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.registry import FORMATS, accepted
from trainer.data.formats.table import Table


@dataclass(frozen=True)
class DataFiles:
    """The files of one split, all of one format.

    Attributes:
        format: Their format.
        examples: The files that hold whole examples.
        images: The files that hold images only.
        labels: The files that hold the labels of these.
    """

    format: Format
    examples: tuple[Path, ...] = ()
    images: tuple[Path, ...] = ()
    labels: tuple[Path, ...] = ()

    @property
    def paths(self) -> list[Path]:
        """All of the files."""
        return [*self.examples, *self.images, *self.labels]

    def open(self, options: ReadOptions, *, flag: str) -> list[Table]:
        """Open the files as tables, in the order of their names.

        Args:
            options: How to read them.
            flag: What named the files, for errors.

        Raises:
            DataError: One is damaged, or has no other that goes with it.
        """
        alone: list[tuple[Path, Path | None]] = [(path, None) for path in self.examples]
        return self.format.open_all(alone + _pairs(self.images, self.labels, flag=flag), options)

    def estimate(self, *, sample_bytes: int) -> Estimate | None:
        """Return how many examples there are, as `Format.estimate` does."""
        return self.format.estimate([*self.examples, *self.images], sample_bytes=sample_bytes)


def recognise(files: Sequence[Path], *, flag: str, named: Collection[Path] = ()) -> DataFiles:
    """Return files by what they hold.

    Args:
        files: One at least.
        flag: What named the files, for errors.
        named: Paths that a user named. Of the others, found in folders and by globs, those are left
            out that only lie beside data of another format.

    Raises:
        DataError: A file is of no format, damaged or cannot be read, or formats are mixed.
    """
    formats = list(FORMATS.values())
    found = [(file, *_format_of(file, formats, named=file in named)) for file in files]
    if any(not form.is_companion for _, form, _ in found):
        found = [each for each in found if each[0] in named or not each[1].is_companion]
    if len({form.name for _, form, _ in found}) > 1:
        first: dict[str, Path] = {}
        for file, form, role in found:
            kind = form.name if role == "examples" else f"{form.name} {role}"
            first.setdefault(kind, file)
        names = sorted({form.name for _, form, _ in found})
        files_shown = ", ".join(f"{first[kind].name} ({kind})" for kind in sorted(first))
        raise DataError(
            subject=flag,
            problem=f"{' and '.join(names)} files are mixed: {files_shown}",
            remedy="give one kind",
        )

    def of(wanted: Role) -> tuple[Path, ...]:
        return tuple(file for file, _, role in found if role == wanted)

    return DataFiles(found[0][1], of("examples"), of("images"), of("labels"))


def parts_in(path: Path) -> set[Part | None]:
    """Return the parts of the data that one file holds under names of their own; else none.

    Raises:
        DataError: It is damaged.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise DataError(subject=path, problem=f"cannot be read: {error.strerror}") from None
    form = next((form for form in FORMATS.values() if form.matches(head)), None)
    return form.parts(path) if form else set()


def _format_of(path: Path, formats: Sequence[Format], *, named: bool) -> tuple[Format, Role]:
    """Return which of the formats a file is of, and what it holds.

    Raises:
        DataError: It is of no format, damaged or cannot be read.
    """
    name = path.name.lower()
    for form in formats:
        if form.one_a_file and not named and name.endswith(form.suffixes):
            return form, "examples"
    head, packed = _head(path)
    for form in formats:
        if form.matches(head) and (form.reads_gzip or not packed):
            return form, form.role(path, head)
    if packed_form := next((form for form in formats if form.matches(head)), None):
        raise DataError(
            subject=path,
            problem=f"gzipped {packed_form.title} files are not read",
            remedy="unpack it: gunzip",
        )
    # Recognise a file with a damaged beginning by its name, so that the error names the damage.
    for form in formats:
        if form.matches_name(name) and (form.reads_gzip or not packed):
            return form, form.role(path, head)
    for form in formats:
        if problem := form.refusal(head):
            raise DataError(subject=path, problem=problem)
    raise DataError(
        subject=path,
        problem=f"is neither {accepted()}: it begins with the bytes {head[:8].hex(' ')}",
    )


def _head(path: Path) -> tuple[bytes, bool]:
    """Return how a file begins, unpacked if it is packed, and whether it is.

    Raises:
        DataError: It is empty, damaged or cannot be read.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(HEAD_BYTES)
        packed = bool(packing_of(raw))
        head = read_head(path, HEAD_BYTES) if packed else raw
    except OSError as error:
        raise DataError(
            subject=path,
            problem=f"cannot be read: {error.strerror}",
        ) from None
    if not raw or (packed and not head and not _named_for_a_format(path)):
        raise DataError(
            subject=path,
            problem=f"is empty, expected {accepted()}",
        )
    return head, packed


def _named_for_a_format(path: Path) -> bool:
    """Return whether a file's name says its format, which then has a packed file of no records."""
    formats = [form for form in FORMATS.values() if form.reads_gzip]
    return any(form.matches_name(path.name.lower()) for form in formats)


def _pairs(
    images: Sequence[Path], labels: Sequence[Path], *, flag: str
) -> list[tuple[Path, Path | None]]:
    """Match each file of images with its labels, by what their names have in common."""
    if len(images) == len(labels) == 1:
        return [(images[0], labels[0])]
    by_key = {_pair_key(path): path for path in labels}
    pairs = [(path, by_key.pop(_pair_key(path), None)) for path in images]
    alone = [path for path, mate in pairs if mate is None] + list(by_key.values())
    if alone:
        missing = "labels" if alone[0] in images else "images"
        raise DataError(
            subject=flag,
            problem=f"no file of {missing} goes with {alone[0]}",
        )
    return pairs


def _pair_key(path: Path) -> tuple[Path, tuple[str, ...]]:
    """Return a file's folder, and its name without the words that tell images from labels."""
    return path.parent, pair_key(path.name)
