"""Inspect an artifact: its models, their signatures, and the containers that serve it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.packaging import keras_file, mxnet, saved_model
from trainer.packaging.contents import Contents, printable, read_contents
from trainer.packaging.locate import (
    CODE_FOLDER,
    GRAPH_FILE,
    LocatedModel,
    describe_other_files,
    locate_models,
    sizes_inside,
)
from trainer.packaging.saved_model import DEFAULT_SIGNATURE, SignatureDef, TensorInfo

SAGEMAKER, SERVING, VERTEX, MXNET = (
    "SageMaker TensorFlow",
    "TensorFlow Serving",
    "Vertex AI prebuilt TensorFlow",
    "SageMaker MXNet",
)
NUMBERED = "wants a SavedModel in a folder whose name is a number, such as 1/"
PACKED = "wants it as model.tar.gz: trainer package --source"


@dataclass(frozen=True, kw_only=True)
class InspectedModel:
    """A model in an artifact.

    Attributes:
        kind: `saved_model`, `keras`, `mxnet`, or `archive` for an archive in a folder.
        place: Its folder or file in the artifact; empty for the top.
        version: The number that is its folder's name, if it is one.
        by: The library that wrote it.
        tags: The tags of a SavedModel.
        signatures: Its signatures; for an MXNet model the shapes that it is bound to.
        problem: The reason why servers do not load it; None if there is none.
    """

    kind: str
    place: str
    version: int | None
    by: str
    tags: tuple[str, ...] = ()
    signatures: tuple[SignatureDef, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class ServingTarget:
    """A container that serves models.

    Attributes:
        name: The container's name for people.
        takes: True if it serves this artifact.
        note: What it wants instead, or how it has to get it.
    """

    name: str
    takes: bool
    note: str


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """An artifact, as `trainer package --inspect` prints it.

    Attributes:
        form: `folder`, `tar.gz`, `tar` or `keras`.
        files: The number of its files.
        size: Bytes of all files, unpacked.
        models: The models in it.
        instead: Where it has no model, a text on its files and on what was expected.
        code: Files in `code/`, which serve the model.
        takers: Each container that serves models, whether it serves this artifact or not.
    """

    form: str
    files: int
    size: int
    models: tuple[InspectedModel, ...]
    instead: str | None
    code: tuple[str, ...]
    takers: tuple[ServingTarget, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the artifact for JSON; in shapes null is a size that is left open."""
        return dataclasses.asdict(self)


def inspect(path: Path) -> Artifact:
    """Inspect an artifact without TensorFlow and without unpacking it.

    Args:
        path: A folder, a tar file or a `.keras` file.

    Raises:
        UserError: It is not there, damaged, or not safe to read.
    """
    of = read_contents(path)
    models = tuple(_model(of, found) for found in locate_models(of))
    return Artifact(
        form=of.form,
        files=len(of.sizes),
        size=sum(of.sizes.values()),
        models=models,
        instead=None if models else describe_other_files(of.sizes),
        code=tuple(sorted(sizes_inside(of, CODE_FOLDER))),
        takers=tuple(_takers(of.form, models)),
    )


def describe(artifact: Artifact, *, name: str) -> list[str]:
    """Return the lines that describe an artifact to people."""
    size = artifact.size / 1e6
    lines = [f"{printable(name)}: {artifact.form}, {artifact.files} files, {size:.2f} MB unpacked"]
    for model in artifact.models:
        place = printable(model.place) or "at the top"
        version = "" if model.version is None else f", version {model.version}"
        tags = f", tags {printable(' '.join(model.tags))}" if model.tags else ""
        lines.append(f"{model.kind} {place}{version}{tags}, by {printable(model.by)}")
        if model.problem:
            lines.append(f"  problem: {printable(model.problem)}")
        for signature in model.signatures:
            method = signature.method.rpartition("/")[2]
            lines.append(
                f"  {printable(signature.name)}{f' ({printable(method)})' if method else ''}"
            )
            lines += [f"    in  {printable(str(tensor))}" for tensor in signature.inputs]
            lines += [f"    out {printable(str(tensor))}" for tensor in signature.outputs]
    if not artifact.models:
        lines.append(f"no model: {printable(artifact.instead or '')}")
    if artifact.code:
        lines.append(f"code: {printable(' '.join(artifact.code))}")
    for target in artifact.takers:
        note = f" ({target.note})" if target.note else ""
        lines.append(f"{'taken by' if target.takes else 'not by'} {target.name}{note}")
    return lines


def _model(of: Contents, found: LocatedModel) -> InspectedModel:
    fields: dict[str, Any] = {"kind": found.kind, "place": found.place, "version": found.version}
    try:
        if found.kind == "saved_model":
            return _saved_model(of, found, fields)
        if found.kind == "mxnet":
            return _mxnet(of, fields)
        if found.kind == "keras":
            return _keras(of, found, fields)
    except UserError as error:
        return InspectedModel(
            **fields, by="unknown", problem=str(error).removeprefix(f"{of.name}: ")
        )
    return InspectedModel(**fields, by="unknown", problem="inside another artifact: inspect that")


def _saved_model(of: Contents, found: LocatedModel, fields: dict[str, Any]) -> InspectedModel:
    name = f"{found.place}/{GRAPH_FILE}".lstrip("/")
    with of.open(name) as file:
        graph = saved_model.read(file, of.sizes[name], name=name)
    try:
        saved_model.check(graph, sizes_inside(of, found.place), name=found.place or GRAPH_FILE)
        problem = None
    except UserError as error:
        problem = str(error)
    by = f"TensorFlow {graph.tensorflow or 'of an unknown version'}"
    return InspectedModel(
        **fields, by=by, tags=graph.tags, signatures=graph.signatures, problem=problem
    )


def _keras(of: Contents, found: LocatedModel, fields: dict[str, Any]) -> InspectedModel:
    if found.place:
        return InspectedModel(**fields, by="Keras", problem="inside another artifact: inspect that")
    model = keras_file.read(of)
    call = SignatureDef(name="call", method="", inputs=model.inputs, outputs=())
    by = f"Keras {model.keras or 'of an unknown version'}"
    return InspectedModel(**fields, by=by, signatures=(call,))


def _mxnet(of: Contents, fields: dict[str, Any]) -> InspectedModel:
    missing = [name for name in (mxnet.PARAMS, mxnet.SHAPES) if name not in of.sizes]
    if missing:
        raise UserError(subject="", problem=f"{missing[0]} is missing")
    symbol = mxnet.read_symbol(of.read(mxnet.SYMBOL), name=mxnet.SYMBOL)
    shapes = mxnet.read_shapes(of.read(mxnet.SHAPES), name=mxnet.SHAPES)
    with of.open(mxnet.PARAMS) as file:
        params = mxnet.read_params(file, name=mxnet.PARAMS)
    mxnet.check(symbol, params, shapes, name=mxnet.SYMBOL)
    inputs = [TensorInfo(name=n, dtype=params.dtype, shape=shape) for n, shape in shapes.items()]
    outputs = [TensorInfo(name=n, dtype=params.dtype, shape=None) for n in symbol.outputs]
    call = SignatureDef(name="forward", method="", inputs=tuple(inputs), outputs=tuple(outputs))
    by = f"MXNet, {len(params.names)} arrays of {params.numbers} numbers"
    return InspectedModel(**fields, by=by, signatures=(call,))


def _takers(form: str, models: tuple[InspectedModel, ...]) -> Iterator[ServingTarget]:
    whole = [model for model in models if not model.problem]
    graphs = [model for model in whole if model.kind == "saved_model"]
    default = any(s.name == DEFAULT_SIGNATURE for model in graphs for s in model.signatures)
    yield _sagemaker(form, graphs, default) if graphs else _none(SAGEMAKER, whole)
    yield _serving(form, graphs) if graphs else _none(SERVING, whole)
    yield _vertex(form, graphs, default) if graphs else _none(VERTEX, whole)
    if not any(model.kind == "mxnet" for model in whole):
        note = f"wants {mxnet.SYMBOL}, {mxnet.PARAMS} and {mxnet.SHAPES} at the top"
        yield ServingTarget(name=MXNET, takes=False, note=note)
    elif form != "tar.gz":
        yield ServingTarget(name=MXNET, takes=False, note=PACKED)
    else:
        yield ServingTarget(name=MXNET, takes=True, note="")


def _none(name: str, whole: list[InspectedModel]) -> ServingTarget:
    keras = any(model.kind == "keras" for model in whole)
    make = ", which trainer package --source makes of it" if keras else ""
    return ServingTarget(name=name, takes=False, note=f"wants a SavedModel{make}")


def _sagemaker(form: str, graphs: list[InspectedModel], default: bool) -> ServingTarget:
    if all(model.version is None for model in graphs):
        return ServingTarget(name=SAGEMAKER, takes=False, note=NUMBERED)
    if form != "tar.gz":
        return ServingTarget(name=SAGEMAKER, takes=False, note=PACKED)
    note = "" if default else f"each request must name a signature: no {DEFAULT_SIGNATURE}"
    return ServingTarget(name=SAGEMAKER, takes=True, note=note)


def _serving(form: str, graphs: list[InspectedModel]) -> ServingTarget:
    versions = [model for model in graphs if model.version is not None]
    if not versions:
        return ServingTarget(name=SERVING, takes=False, note=NUMBERED)
    base = versions[0].place.rpartition("/")[0]
    unpacked = "" if form == "folder" else ", once unpacked"
    return ServingTarget(
        name=SERVING, takes=True, note=f"base path {printable(base) or 'the top'}{unpacked}"
    )


def _vertex(form: str, graphs: list[InspectedModel], default: bool) -> ServingTarget:
    note = ""
    if all(model.place for model in graphs):
        note = "wants saved_model.pb in the folder itself: trainer train --layout flat"
    elif form != "folder":
        note = "wants it unpacked"
    elif not default:
        note = f"wants a signature {DEFAULT_SIGNATURE}"
    return ServingTarget(name=VERTEX, takes=not note, note=note)
