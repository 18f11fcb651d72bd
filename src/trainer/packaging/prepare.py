"""Prepare a SavedModel on disk that servers load, from whatever holds a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.config import UserError
from trainer.packaging import saved_model
from trainer.packaging.contents import ARTIFACT_LIMITS, Contents, files_below, read_contents
from trainer.packaging.convert import convert_keras
from trainer.packaging.locate import CODE_FOLDER, GRAPH_FILE, LocatedModel, choose_model, version_of
from trainer.storage import unfinished, unpack_archive


@dataclass(frozen=True, kw_only=True)
class PreparedModel:
    """A SavedModel on disk.

    Attributes:
        files: Its files, by their names in its folder.
        version: The number that its folder had as a name, if it had one.
        graph: The graph that servers load.
        code: The folder of the code that serves it, if there is one beside it.
        origin: The artifact that it was made of, for people.
    """

    files: dict[str, Path]
    version: int | None
    graph: saved_model.MetaGraph
    code: Path | None
    origin: str


@contextlib.contextmanager
def prepare_model(
    source: Path,
    *,
    name: str,
    version: int | None = None,
    module: str | None = None,
    scratch: Path | None = None,
) -> Iterator[PreparedModel]:
    """Bring a model to disk as a SavedModel, and check that servers can load and call it.

    Args:
        source: A SavedModel folder, a folder of versions, `export/Servo`, a `.keras` file, a
            `model.tar.gz` with one of these in it, or a folder that holds just one of all these.
        name: The source's name for errors.
        version: The version to take; None for the newest.
        module: See `convert_keras`.
        scratch: The folder in which a temporary folder is made, if one is needed.

    Yields:
        The SavedModel, as long as the block lasts.

    Raises:
        UserError: There is no such model, or it is not whole.
    """
    with unfinished.temporary_folder(scratch) as folder:
        chosen = _choose(source, name=name, version=version)
        name, model, root = chosen.name, chosen.model, chosen.root
        if chosen.contents.form in ("tar.gz", "tar"):
            root = Path(folder, "unpacked")
            unpack_archive(chosen.root, root, name=name, limits=ARTIFACT_LIMITS)
        place = _saved_model(chosen, root / model.place, Path(folder, "saved_model"), module=module)
        # The source may be a numbered folder itself, also as `.`.
        number = version_of(place.absolute().name) if model.version is None else model.version
        if version is not None and number is not None and number != version:
            raise UserError(subject=f"--version {version}", problem=f"{name} has {number}")
        found = files_below(place)
        if not model.place:
            found = {key: file for key, file in found.items() if key.split("/")[0] != CODE_FOLDER}
        graph = _graph(found[GRAPH_FILE], name)
        saved_model.check(graph, found, name=name)
        code = root / CODE_FOLDER
        yield PreparedModel(
            files=found,
            version=number,
            graph=graph,
            code=code if root.is_dir() and code.is_dir() else None,
            origin="/".join(filter(None, [chosen.origin, model.place])),
        )


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """The model that is meant, and the artifact that holds it.

    Attributes:
        root: The artifact: the source, or an archive in it.
        contents: The artifact's files.
        model: The model in it.
        name: The artifact's name for errors.
        origin: The artifact's name for people.
    """

    root: Path
    contents: Contents
    model: LocatedModel
    name: str
    origin: str


def _choose(root: Path, *, name: str, version: int | None) -> _Chosen:
    """Choose the model that is meant, also from an archive that lies in a folder."""
    contents, origin = read_contents(root, name=name), root.name
    model = choose_model(contents, version=version)
    if model.kind == "archive":
        root, name, origin = root / model.place, f"{name}: {model.place}", f"{origin}/{model.place}"
        contents = read_contents(root, name=name)
        model = choose_model(contents, version=version)
    return _Chosen(root=root, contents=contents, model=model, name=name, origin=origin)


def _saved_model(chosen: _Chosen, place: Path, converted: Path, *, module: str | None) -> Path:
    """Return the folder of the SavedModel at a place, converted if it is a `.keras` file."""
    if chosen.model.kind == "mxnet":
        raise UserError(
            subject=chosen.name, problem="an MXNet model; expected one of TensorFlow or Keras"
        )
    if chosen.model.kind != "keras":
        return place
    if chosen.contents.form != "keras":
        # Keras reads only the parts that it needs, and misses damage elsewhere.
        read_contents(place, name=f"{chosen.name}: {chosen.model.place}")
    convert_keras(place, converted, module=module, name=chosen.name)
    return converted


def _graph(file: Path, name: str) -> saved_model.MetaGraph:
    try:
        with file.open("rb") as opened:
            size = file.stat().st_size
            return saved_model.read(opened, size, name=f"{name}: {GRAPH_FILE}")
    except OSError as error:
        raise UserError(
            subject=name,
            problem=f"{GRAPH_FILE} cannot be read: {error.strerror}",
        ) from None
