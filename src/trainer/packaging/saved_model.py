"""Read the signatures, tags and assets of a SavedModel without TensorFlow.

TensorFlow's own classes for these messages cost its whole import, 2.3 s; the few fields that
matter are read here in a millisecond. Their numbers are those of tensorflow/core/protobuf:
saved_model.proto, meta_graph.proto, and core/framework: types.proto, tensor_shape.proto.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from trainer.config import UserError
from trainer.data import LENGTH_DELIMITED, WireError, message_fields, read_fields, read_varint
from trainer.packaging.contents import printable

# One type, one entry: the formatter would give each a line.
# fmt: off
DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string",
    8: "complex64", 9: "int64", 10: "bool", 14: "bfloat16", 17: "uint16", 18: "complex128",
    19: "float16", 20: "resource", 21: "variant", 22: "uint32", 23: "uint64",
}
# fmt: on
# Bytes to read at most; no model's signatures take a hundredth of this.
MOST = 2**26
# Signatures that TensorFlow's loader calls for itself begin with this.
INTERNAL = "__saved_model_"
# The collection in which TensorFlow 1 lists assets, each in an AnyList.
ASSETS = "saved_model_assets"
SERVE, DEFAULT_SIGNATURE = "serve", "serving_default"


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """An argument or a result of a signature.

    Attributes:
        name: Its name for callers.
        dtype: Its type, `string` for bytes.
        shape: Its sizes, None for one that is left open; None if even the rank is.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        sizes = "any shape" if self.shape is None else self.shape
        if isinstance(sizes, tuple):
            sizes = f"[{', '.join('?' if size is None else str(size) for size in sizes)}]"
        return f"{self.name} {self.dtype} {sizes}"


@dataclass(frozen=True, kw_only=True)
class SignatureDef:
    """One way to call a model.

    Attributes:
        name: `serving_default` is called where none is named.
        method: `tensorflow/serving/predict`, …/classify or …/regress.
        inputs: Sorted by name.
        outputs: Sorted by name.
    """

    name: str
    method: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


@dataclass(frozen=True, kw_only=True)
class MetaGraph:
    """The graph in `saved_model.pb` that servers load.

    Attributes:
        tags: Its tags, among them `serve` if servers are to load it.
        tensorflow: The version of TensorFlow that wrote it, or an empty text.
        signatures: Sorted by name.
        assets: The files in `assets/` that the graph refers to.
    """

    tags: tuple[str, ...]
    tensorflow: str
    signatures: tuple[SignatureDef, ...]
    assets: tuple[str, ...] = ()


def read(file: IO[bytes], size: int, *, name: str) -> MetaGraph:
    """Read a `saved_model.pb` without the operations in it, which may take 2 GB.

    Args:
        file: The file, at its begin.
        size: The file's size in bytes.
        name: The file's name for errors.

    Raises:
        UserError: It is no SavedModel, or a damaged one.
    """
    try:
        raw = read_fields(file, size, {2: {1: None, 4: None, 5: None, 6: None}}, most=MOST)
    except WireError:
        raise UserError(
            subject=name,
            problem="damaged, or no SavedModel: not its protocol buffer",
        ) from None
    return parse(raw, name=name)


def parse(raw: bytes, *, name: str) -> MetaGraph:
    """Read a `saved_model.pb`.

    Args:
        raw: The bytes of the file.
        name: The file's name for errors.

    Raises:
        UserError: It is no SavedModel, or a damaged one.
    """
    try:
        spans = [span for number, span in _messages(raw, (0, len(raw))) if number == 2]
        graphs = [_graph(raw, span) for span in spans]
    except (WireError, IndexError):
        raise UserError(
            subject=name,
            problem="damaged, or no SavedModel: not its protocol buffer",
        ) from None
    if not graphs:
        raise UserError(
            subject=name,
            problem="damaged, or no SavedModel: it holds no graph",
        )
    # One file may hold graphs for training or for GPUs beside the one that is served.
    return min(graphs, key=lambda graph: (SERVE not in graph.tags, len(graph.tags)))


def check(graph: MetaGraph, names: Iterable[str], *, name: str) -> None:
    """Raise a UserError unless a server can load and call the model.

    Args:
        graph: The graph in its `saved_model.pb`.
        names: The files in the folder of that file.
        name: The folder's name for errors.
    """
    if SERVE not in graph.tags:
        tags = ", ".join(graph.tags) or "none"
        raise UserError(
            subject=name,
            problem=f"its tags are {tags}",
            remedy=f"servers load what has the tag {SERVE}",
        )
    if not graph.signatures:
        raise UserError(
            subject=name,
            problem="it has no signature to call",
            remedy="save it with signatures=…",
        )
    names = set(names)
    for asset in graph.assets:
        if f"assets/{asset}" not in names:
            raise UserError(
                subject=name,
                problem=f"its asset assets/{printable(asset)} is missing",
            )
    parts: dict[int, set[int]] = {}
    index = False
    for file in names:
        index = index or file == "variables/variables.index"
        part = re.fullmatch(r"variables/variables\.data-(\d{5})-of-(\d{5})", file)
        if part:
            parts.setdefault(int(part[2]), set()).add(int(part[1]))
    whole = any(found == set(range(count)) for count, found in parts.items())
    if index and not whole:
        raise UserError(
            subject=name,
            problem="its variables are not whole: a file variables.data-… is missing",
        )
    if parts and not index:
        raise UserError(
            subject=name,
            problem="its variables are not whole: variables.index is missing",
        )


def _graph(raw: bytes, span: tuple[int, int]) -> MetaGraph:
    tags: list[str] = []
    version = ""
    signatures = []
    assets: list[tuple[int, int]] = []
    for number, part in _messages(raw, span):
        if number == 1:
            for key, value in _messages(raw, part):
                if key == 4:
                    tags.append(_text(raw, value))
                elif key == 5:
                    version = _text(raw, value)
        elif number == 5:
            name, value = _entry(raw, part)
            if not name.startswith(INTERNAL):
                signatures.append(_signature(raw, value, name))
        elif number == 6:
            assets += _inside(raw, part, 2)
        elif number == 4:
            name, value = _entry(raw, part)
            if name == ASSETS:
                assets += _inside(raw, value, 5, 1, 2, 2)
    ordered = tuple(sorted(signatures, key=lambda signature: signature.name))
    files = tuple(_text(raw, span) for span in assets)
    return MetaGraph(tags=tuple(tags), tensorflow=version, signatures=ordered, assets=files)


def _signature(raw: bytes, span: tuple[int, int], name: str) -> SignatureDef:
    method = ""
    tensors: Mapping[int, dict[str, TensorInfo]] = {1: {}, 2: {}}
    for number, part in _messages(raw, span):
        if number in tensors:
            key, value = _entry(raw, part)
            tensors[number][key] = _tensor(raw, value, key)
        elif number == 3:
            method = _text(raw, part)
    inputs, outputs = (tuple(named[key] for key in sorted(named)) for named in tensors.values())
    return SignatureDef(name=name, method=method, inputs=inputs, outputs=outputs)


def _tensor(raw: bytes, span: tuple[int, int], name: str) -> TensorInfo:
    dtype = 0
    shape: tuple[int | None, ...] | None = None
    for number, wire, start, stop in message_fields(raw, *span):
        if number == 2 and wire != LENGTH_DELIMITED:
            dtype = read_varint(raw, start)[0]
        elif number == 3 and wire == LENGTH_DELIMITED:
            shape = _shape(raw, (start, stop))
    # References to variables, as TensorFlow 1 has them, are 100 higher.
    known = DTYPES.get(dtype) or DTYPES.get(dtype - 100) or f"type {dtype}"
    return TensorInfo(name=name, dtype=known, shape=shape)


def _shape(raw: bytes, span: tuple[int, int]) -> tuple[int | None, ...] | None:
    sizes: list[int | None] = []
    for number, wire, start, stop in message_fields(raw, *span):
        if number == 3 and wire != LENGTH_DELIMITED and read_varint(raw, start)[0]:
            return None
        if number == 2 and wire == LENGTH_DELIMITED:
            size = 0
            for key, kind, at, _ in message_fields(raw, start, stop):
                if key == 1 and kind != LENGTH_DELIMITED:
                    size = read_varint(raw, at)[0]
            # -1, in two's complement, is a size that is left open.
            sizes.append(size if size < 2**63 else None)
    return tuple(sizes)


def _entry(raw: bytes, span: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """Return key and value of an entry of a map."""
    found = dict(_messages(raw, span))
    return _text(raw, found.get(1, (0, 0))), found.get(2, (0, 0))


def _messages(raw: bytes, span: tuple[int, int]) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield number and span of each field that is a message or a text."""
    for number, wire, start, stop in message_fields(raw, *span):
        if wire == LENGTH_DELIMITED:
            yield number, (start, stop)


def _inside(raw: bytes, span: tuple[int, int], *path: int) -> list[tuple[int, int]]:
    """Return the spans of the fields that a path of numbers leads to, outermost number first."""
    spans = [span]
    for number in path:
        spans = [part for at in spans for key, part in _messages(raw, at) if key == number]
    return spans


def _text(raw: bytes, span: tuple[int, int]) -> str:
    return raw[slice(*span)].decode(errors="replace")
