"""Prepare a SavedModel on disk that servers load, from whatever holds a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.config import UserError
from trainer.packaging import saved_model
from trainer.packaging.contents import ARCHIVE, files, read_contents
from trainer.packaging.convert import convert
from trainer.packaging.locate import CODE, GRAPH, choose_model, version_of
from trainer.storage import unfinished, unpack


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
        module: See `convert`.
        scratch: The folder in which a temporary folder is made, if one is needed.

    Yields:
        The SavedModel, as long as the block lasts.

    Raises:
        UserError: There is no such model, or it is not whole.
    """
    with unfinished.temporary_folder(scratch) as folder:
        work, root, origin = Path(folder), source, source.name
        of = read_contents(root, name=name)
        model = choose_model(of, version=version)
        if model.kind == "archive":
            root, name, origin = (
                root / model.place,
                f"{name}: {model.place}",
                f"{origin}/{model.place}",
            )
            of = read_contents(root, name=name)
            model = choose_model(of, version=version)
        if of.form in ("tar.gz", "tar"):
            unpack(root, work / "unpacked", name=name, limits=ARCHIVE)
            root = work / "unpacked"
        place, number = root / model.place, model.version
        if model.kind == "mxnet":
            raise UserError(
                subject=name,
                problem="an MXNet model; expected one of TensorFlow or Keras",
            )
        if model.kind == "keras":
            if of.form != "keras":
                # Keras reads only the parts that it needs, and misses damage elsewhere.
                read_contents(place, name=f"{name}: {model.place}")
            convert(place, work / "saved_model", module=module, name=name)
            place = work / "saved_model"
        # The source may be a numbered folder itself, also as `.`.
        if number is None:
            number = version_of(place.absolute().name)
        if version is not None and number is not None and number != version:
            raise UserError(
                subject=f"--version {version}",
                problem=f"{name} has {number}",
            )
        found = files(place)
        if not model.place:
            found = {key: file for key, file in found.items() if key.split("/")[0] != CODE}
        graph = _graph(found[GRAPH], name)
        saved_model.check(graph, found, name=name)
        code = root / CODE
        yield PreparedModel(
            files=found,
            version=number,
            graph=graph,
            code=code if root.is_dir() and code.is_dir() else None,
            origin="/".join(filter(None, [origin, model.place])),
        )


def _graph(file: Path, name: str) -> saved_model.MetaGraph:
    try:
        with file.open("rb") as opened:
            size = file.stat().st_size
            return saved_model.read(opened, size, name=f"{name}: {GRAPH}")
    except OSError as error:
        raise UserError(
            subject=name,
            problem=f"{GRAPH} cannot be read: {error.strerror}",
        ) from None
