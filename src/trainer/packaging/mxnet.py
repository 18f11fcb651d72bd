"""MXNet checkpoints, `PREFIX-symbol.json` and `PREFIX-NNNN.params`, read without MXNet.

SageMaker's MXNet container loads `model-symbol.json` and `model-0000.params` beside a
`model-shapes.json`, and leaves a weight that it does not find at what it happens to be: what is
packed is compared here. Formats: `NDArray::Save` in src/ndarray/ndarray.cc of MXNet 1.x;
`default_model_fn` and `read_data_shapes` of aws/sagemaker-mxnet-inference-toolkit.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from trainer.config import UserError

SYMBOL, PARAMS, SHAPES = "model-symbol.json", "model-0000.params", "model-shapes.json"
LIST = 0x112
ARRAY = {0xF993FAC8, 0xF993FAC9, 0xF993FACA}
# With NumPy's shapes (the last of the three) an array without sizes is a scalar, before it is none.
V1, NUMPY = 0xF993FAC8, 0xF993FACA
BYTES = {0: 4, 1: 8, 2: 2, 3: 1, 4: 4, 5: 1, 6: 8, 7: 1, 8: 2, 9: 2, 10: 4, 11: 8, 12: 2}
DTYPES = {0: "float32", 1: "float64", 2: "float16", 12: "bfloat16"}
MOST_ARRAYS, LONGEST_NAME = 1_000_000, 65_536


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """A network.

    Attributes:
        variables: Inputs, labels and weights, in their order.
        outputs: The names of the nodes that give the results.
    """

    variables: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Params:
    """Weights.

    Attributes:
        names: Names such as `arg:fc1_weight` or `aux:bn_moving_mean`.
        numbers: The count of numbers in all arrays.
        dtype: The type of the first array.
    """

    names: tuple[str, ...]
    numbers: int
    dtype: str


class _DamagedError(Exception):
    """Bytes that are not those of an MXNet file."""


def read_symbol(raw: bytes, *, name: str) -> Symbol:
    """Read a `…-symbol.json`, or raise a UserError that names it."""
    try:
        graph = json.loads(raw)
        nodes = [(node["op"], str(node["name"])) for node in graph["nodes"]]
        variables = tuple(node for op, node in nodes if op == "null")
        outputs = tuple(nodes[head[0]][1] for head in graph["heads"])
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise UserError(
            subject=name,
            problem="expected an MXNet symbol: JSON with nodes and heads",
        ) from None
    return Symbol(variables=variables, outputs=outputs)


def read_params(file: IO[bytes], *, name: str) -> Params:
    """Read the names and sizes in a `…-NNNN.params`, or raise a UserError that names it."""
    try:
        if _numbers(file, "<QQ") != (LIST, 0):
            raise _DamagedError
        (count,) = _numbers(file, "<Q")
        if count > MOST_ARRAYS:
            raise _DamagedError
        arrays = [_skip_array(file) for _ in range(count)]
        (named,) = _numbers(file, "<Q")
        if named != count:
            raise _DamagedError
        names = []
        for _ in range(count):
            (length,) = _numbers(file, "<Q")
            if length > LONGEST_NAME:
                raise _DamagedError
            names.append(_exactly(file, length).decode(errors="replace"))
    except (_DamagedError, OverflowError):
        raise UserError(
            subject=name,
            problem="damaged, or no MXNet parameters of dense arrays",
        ) from None
    dtype = next((kind for _, kind in arrays), "none")
    return Params(names=tuple(names), numbers=sum(n for n, _ in arrays), dtype=dtype)


def read_shapes(raw: bytes, *, name: str) -> dict[str, tuple[int, ...]]:
    """Read a `model-shapes.json`, or raise a UserError that names it."""
    try:
        listed = json.loads(raw)
        return {str(item["name"]): tuple(int(n) for n in item["shape"]) for item in listed}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            subject=name,
            problem='expected [{"name": "data", "shape": [1, 28, 28, 1]}]',
        ) from None


def check(symbol: Symbol, params: Params, shapes: Mapping[str, Any], *, name: str) -> None:
    """Raise a UserError unless the three make a model that answers as it was trained."""
    if params.names and not any(n.startswith(("arg:", "aux:")) for n in params.names):
        raise UserError(
            subject=name,
            problem="its parameters are those of Gluon's save_parameters",
            remedy="use export() of the HybridBlock, which writes a symbol and what belongs to it",
        )
    weights = {n.partition(":")[2] for n in params.names}
    free = [variable for variable in symbol.variables if variable not in weights]
    for given in shapes:
        if given not in free:
            wanted = ", ".join(n for n in free if not n.endswith("label")) or "none"
            raise UserError(
                subject=f"--input-shape {given}",
                problem=f"the inputs of {name} are {wanted}",
            )
    left = [variable for variable in free if variable not in shapes]
    missing = [variable for variable in left if not variable.endswith("label")]
    if missing:
        shown = ", ".join(missing[:5])
        raise UserError(
            subject=name,
            problem=f"neither a weight nor an --input-shape for {shown}",
            remedy="MXNet would take any number for it",
        )


def checkpoint(prefix: Path, *, epoch: int | None) -> tuple[Path, Path]:
    """Return the two files of a checkpoint: symbol and parameters.

    Args:
        prefix: The path with which both names begin.
        epoch: The epoch that the parameters are from; None for the last.

    Raises:
        UserError: They are not there.
    """
    symbol = prefix.parent / f"{prefix.name}-symbol.json"
    found: dict[int, Path] = {}
    for file in prefix.parent.glob("*.params"):
        match = re.fullmatch(re.escape(prefix.name) + r"-(\d{4,})\.params", file.name)
        if match:
            found[int(match[1])] = file
    if not symbol.is_file() or not found:
        raise UserError(
            subject=f"--source {prefix}",
            problem=f"no MXNet checkpoint: expected {symbol.name} and "
            f"{prefix.name}-NNNN.params in {prefix.parent}",
        )
    number = max(found) if epoch is None else epoch
    if number not in found:
        there = ", ".join(map(str, sorted(found)))
        raise UserError(
            subject=f"--epoch {number}",
            problem=f"{prefix} has {there}",
        )
    return symbol, found[number]


def parse_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return names and shapes from texts such as `data=1,28,28,1`, or raise a UserError."""
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, equals, sizes = text.partition("=")
        numbers = sizes.split(",")
        if not (name and equals and all(re.fullmatch(r"[1-9]\d{0,9}", n) for n in numbers)):
            raise UserError(
                subject=f"--input-shape {text}",
                problem="expected NAME=N,N,…, such as data=1,28,28,1",
            )
        if name in shapes:
            raise UserError(
                subject=f"--input-shape {text}",
                problem=f"{name} is given twice",
            )
        shapes[name] = tuple(map(int, numbers))
    return shapes


def shapes_json(shapes: Mapping[str, Sequence[int]]) -> str:
    """Return the text of `model-shapes.json`."""
    return json.dumps([{"name": name, "shape": list(shape)} for name, shape in shapes.items()])


def _skip_array(file: IO[bytes]) -> tuple[int, str]:
    """Return the count of numbers in an array, and their type, and go on to its end."""
    (magic,) = _numbers(file, "<I")
    if magic not in ARRAY:
        raise _DamagedError
    # Storage: 0 is dense; arrays of the first version have no other.
    if magic != V1 and _numbers(file, "<i") != (0,):
        raise _DamagedError
    (rank,) = _numbers(file, "<i")
    if not 0 <= rank <= 32:
        raise _DamagedError
    if rank == 0 and magic != NUMPY:
        return 0, "none"
    shape = _numbers(file, f"<{rank}q")
    _, _, kind = _numbers(file, "<iii")
    if kind not in BYTES or any(size < 0 for size in shape):
        raise _DamagedError
    numbers = math.prod(shape)
    _skip(file, numbers * BYTES[kind])
    return numbers, DTYPES.get(kind, f"type {kind}")


def _skip(file: IO[bytes], count: int) -> None:
    if count:
        file.seek(count - 1, 1)
        # A seek beyond the end is no error; reading there is.
        _exactly(file, 1)


def _numbers(file: IO[bytes], form: str) -> tuple[int, ...]:
    return struct.unpack(form, _exactly(file, struct.calcsize(form)))


def _exactly(file: IO[bytes], count: int) -> bytes:
    raw = file.read(count)
    if len(raw) != count:
        raise _DamagedError
    return raw
