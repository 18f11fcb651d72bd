"""Locate the models in an artifact or a folder, and choose the one that is meant."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.config import UserError
from trainer.packaging import mxnet
from trainer.packaging.contents import Contents, printable
from trainer.storage import links_to_ancestor

GRAPH_FILE = "saved_model.pb"
# Characters in the name of a folder.
LONGEST = 255
# The folder beside a model with the code that serves it.
CODE_FOLDER = "code"
OTHERS = {
    "saved_model.pbtxt": "a SavedModel as text; load it and save it as saved_model.pb",
    "saved_model.cpb": "a SavedModel in pieces, larger than 2 GB, which most servers do not read",
    ".h5": "a Keras HDF5 file; load it and save it as .keras",
    ".hdf5": "a Keras HDF5 file; load it and save it as .keras",
    ".ckpt.index": "a checkpoint without its model; export a SavedModel",
}


@dataclass(frozen=True, kw_only=True)
class LocatedModel:
    """A model in an artifact.

    Attributes:
        kind: `saved_model`, `keras`, `mxnet`, or `archive` for an archive in a folder.
        place: Its folder or file, relative to the top; empty for the top itself.
        version: The number that is its folder's name, if it is one.
    """

    kind: str
    place: str
    version: int | None = None

    @property
    def base(self) -> str:
        """The folder of its versions, which is one model for a server."""
        return self.place.rpartition("/")[0] if self.version is not None else self.place


def version_of(name: str) -> int | None:
    """Return the version that servers see in a folder of this name; `00000123` is 123.

    TensorFlow Serving reads a number of 64 bits, and SageMaker's container takes leading zeros off.
    """
    if not (name.isascii() and name.isdecimal() and len(name) <= LONGEST):
        return None
    number = int(name)
    return number if number < 2**63 else None


def locate_models(of: Contents) -> list[LocatedModel]:
    """Return all models in an artifact, those nearest to the top first."""
    if of.form == "keras":
        return [LocatedModel(kind="keras", place="")]
    models = []
    for name in of.sizes:
        folder, _, file = name.rpartition("/")
        if name.split("/")[0] == CODE_FOLDER:
            continue
        if file == GRAPH_FILE:
            last = folder.rpartition("/")[2]
            models.append(LocatedModel(kind="saved_model", place=folder, version=version_of(last)))
        elif file.endswith(".keras"):
            models.append(LocatedModel(kind="keras", place=name))
        elif file == mxnet.SYMBOL and not folder:
            models.append(LocatedModel(kind="mxnet", place=""))
        elif file.endswith((".tar.gz", ".tgz")) and of.form == "folder":
            models.append(LocatedModel(kind="archive", place=name))
    return sorted(models, key=lambda m: (m.place.count("/"), m.base, m.version or 0))


def find_saved_models(folder: Path, *, depth: int) -> Iterator[Path]:
    """Yield the folders of SavedModels on disk, in the order of their names.

    Args:
        folder: The folder to search; hidden folders below it and those within a model are left out.
        depth: Levels of folders to go down.
    """
    if (folder / GRAPH_FILE).is_file():
        yield folder
        return
    if not depth:
        return
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError:
        return
    for name in names:
        if not links_to_ancestor(folder / name):
            yield from find_saved_models(folder / name, depth=depth - 1)


def choose_model(of: Contents, *, version: int | None = None) -> LocatedModel:
    """Return the model that is meant: the newest version, or the one asked for.

    Raises:
        UserError: There is none, or there are several.
    """
    models = locate_models(of)
    if not models:
        raise UserError(
            subject=of.name,
            problem=f"holds no model: {describe_other_files(of.sizes)}",
        )
    # Models in numbered folders side by side are versions of one; a model beside them is another.
    newest = {(model.kind, model.base, model.version is None): model for model in models}
    if len(newest) > 1:
        shown = list(newest.values())[:4]
        names = ", ".join(
            f"{printable(model.place) or 'its top'} ({model.kind})" for model in shown
        )
        raise UserError(
            subject=of.name,
            problem=f"holds several models: {names}",
            remedy="name one of them",
        )
    same = [model for model in models if version in (None, model.version)]
    for one, other in itertools.pairwise(same):
        if one.version is not None and one.version == other.version:
            raise UserError(
                subject=of.name,
                problem=f"{printable(one.place)} and {printable(other.place)} are both version "
                f"{one.version}",
                remedy="name one of them",
            )
    if version is None or models[0].version is None:
        return models[-1]
    if same:
        return same[0]
    there = ", ".join(str(model.version) for model in models)
    raise UserError(
        subject=f"--version {version}",
        problem=f"{of.name} has {there}",
    )


def sizes_inside(of: Contents, place: str) -> dict[str, int]:
    """Return the sizes of the files in a folder of an artifact, by their names in there."""
    prefix = f"{place}/" if place else ""
    return {n.removeprefix(prefix): size for n, size in of.sizes.items() if n.startswith(prefix)}


def describe_other_files(names: Mapping[str, int]) -> str:
    """Return a text on the files of an artifact without a model, and on what was expected."""
    for name in names:
        for end, kind in OTHERS.items():
            if name.endswith(end):
                return f"{printable(name)} is {kind}"
    held = (
        ", ".join(printable(n) for n in sorted({n.split("/")[0] for n in names})[:5]) or "nothing"
    )
    return f"expected saved_model.pb, a .keras file or model.tar.gz, found {held}"
