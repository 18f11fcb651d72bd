"""npz files: zip archives of npy files, which may hold several parts of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.config import PARTS_OF, DataError, Part, Split, part_of
from trainer.data.formats.array_names import array_part, array_role, name_words, named_role
from trainer.data.formats.array_table import ArrayFormat, ArrayTable
from trainer.data.formats.format import Estimate, Format, Role
from trainer.data.formats.npz_archive import LOCAL, MAGIC, NpzMember, members_of, open_member
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.formats.registry import join_words
from trainer.data.formats.table import Table

if TYPE_CHECKING:
    from trainer.data.graph.records import GraphRecords, TableConstants

ROLES_OF_FEATURES: dict[str, Role] = {"image": "images", "label": "labels"}


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
    members = members_of(path)
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
            remedy="name them: --feature image=NAME,label=NAME",
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
        open_member(path, pair.images),
        open_member(path, pair.labels),
        name=f"{path} ({pair.images.key} with {pair.labels.key})",
        options=options,
    )


def _of_split(pairs: dict[Part | None, NpzPair], split: Split) -> NpzPair | None:
    return next((pairs[part] for part in (*PARTS_OF[split], None) if part in pairs), None)


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


class NpzFormat(ArrayFormat):
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
        return {array_part(member.key) for member in members_of(path)}

    def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
        return open_split(path, options)

    def graph_records(self, tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
        """See `Format.graph_records`; no graph finds arrays in an archive."""
        return Format.graph_records(self, tables, constants)

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate | None:
        pairs = [pairs_in(file) for file in files]
        if any(len(each) > 1 for each in pairs):
            return None
        rows = (pair.images.header.shape[0] for each in pairs for pair in each.values())
        return Estimate(sum(rows), exact=True)


FORMAT = NpzFormat()
