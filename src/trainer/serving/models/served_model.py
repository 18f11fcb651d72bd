"""A SavedModel in memory, loaded by `tf.saved_model.load`, and calls of its signatures."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainer.packaging import GRAPH_FILE, RowBehavior, compare_rows, read_class_names, read_mark
from trainer.runtime import message_lines
from trainer.serving.http.errors import HTTPError
from trainer.serving.models.signature import SERVED, Signature, Tensor
from trainer.storage import without_wildcards

Arrays = Mapping[str, np.ndarray]

# A PNG of one black pixel, with which a model that takes images is warmed up.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
# HTTP's status for TensorFlow's error codes, as TensorFlow Serving has them; others get 500.
STATUSES = {
    3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 14: 503, 16: 401
}  # fmt: skip
# Rows with which a signature is tried, to see whether batching changes its outputs.
TRIAL_ROWS = 5


class ServedModel:
    """A SavedModel in memory.

    Args:
        path: Its folder.
        batching: Whether signatures that can be batched are: None for those that are marked as
            row-independent, True for all, False for none.

    Attributes:
        signatures: By name, those that can be called over HTTP.
        metadata: Its signatures as TensorFlow Serving's metadata has them.
        class_names: The names of the classes by label; empty if the model has none.

    Raises:
        ValueError: A file that it refers to is missing; TensorFlow raises others.
    """

    def __init__(self, path: Path, *, batching: bool | None = None) -> None:
        import tensorflow as tf

        self._tf = tf
        graph = _served_graph(path)
        for asset in _assets(graph):
            if not (path / "assets" / asset).is_file():
                raise ValueError(f"its asset assets/{asset} is missing")
        # Keep a reference: the signatures have only weak ones to the variables.
        self._loaded = tf.saved_model.load(
            str(without_wildcards(path)), tags=list(graph.meta_info_def.tags)
        )
        self._functions: dict[str, Any] = {}
        self.signatures: dict[str, Signature] = {}
        self._marked = read_mark(path)
        for name, function in self._loaded.signatures.items():
            signature = _signature(name, function)
            if all(t.dtype.kind in SERVED for t in signature.inputs):
                allowed = name in self._marked if batching is None else batching
                batched = signature.has_rows and allowed
                self._functions[name] = function
                self.signatures[name] = dataclasses.replace(signature, batched=batched)
        self.metadata = _metadata(graph)
        self.class_names = read_class_names(path)

    def call(self, signature: Signature, arrays: Arrays) -> dict[str, np.ndarray]:
        """Run a signature once.

        Args:
            signature: One of `signatures`.
            arrays: One for each input, of its type and checked against its shape.

        Returns:
            The outputs, by name; strings as objects of bytes.

        Raises:
            HTTPError: TensorFlow refused the values.
        """
        constant = self._tf.constant
        function = self._functions[signature.name]
        try:
            outputs = function(**{name: constant(value) for name, value in arrays.items()})
            return {name: _plain(value.numpy()) for name, value in outputs.items()}
        except self._tf.errors.OpError as error:
            status = STATUSES.get(error.error_code, 500)
            raise HTTPError(status, _reason(error.message)) from None
        except UnicodeDecodeError as error:
            # TensorFlow's message quotes bytes that are no UTF-8, and Python fails to decode it.
            raise HTTPError(400, _reason(error.object.decode(errors="replace"))) from None

    def warm_up(self, sizes: tuple[int, ...]) -> None:
        """Run each signature once for each number of rows, as first calls take many times as long.

        Args:
            sizes: The numbers of rows.

        Raises:
            HTTPError: The default signature fails on zeros.
        """
        for signature in self.signatures.values():
            for rows in sizes if signature.has_rows else sizes[:1]:
                made = {t.name: _blank(t, rows) for t in signature.inputs}
                # A made-up string may fail a model that parses it.
                text = any(t.is_text for t in signature.inputs)
                with contextlib.suppress(HTTPError) if text else contextlib.nullcontext():
                    self.call(signature, made)

    def check_batching(self) -> list[str]:
        """Try signatures that are batched without a mark, and end batching that changes outputs.

        Returns:
            A line for each signature that is not batched any more, or that could not be tried.
        """
        lines = []
        for name, signature in self.signatures.items():
            if not signature.batched or name in self._marked:
                continue
            try:
                behavior = compare_rows(functools.partial(self.call, signature), _trial(signature))
            except HTTPError as error:
                lines.append(f"signature '{name}' is batched unchecked: {error.message}")
                continue
            if behavior is RowBehavior.DEPENDENT:
                self.signatures[name] = dataclasses.replace(signature, batched=False)
                lines.append(f"signature '{name}' is not batched: {behavior.value}")
        return lines


def _signature(name: str, function: Any) -> Signature:
    inputs = function.structured_input_signature[1]
    outputs = function.structured_outputs
    return Signature(
        name=name,
        inputs=tuple(_tensor(key, inputs[key]) for key in sorted(inputs)),
        outputs=tuple(_tensor(key, outputs[key]) for key in sorted(outputs)),
    )


def _tensor(name: str, spec: Any) -> Tensor:
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    dtype = np.dtype(spec.dtype.as_numpy_dtype)
    return Tensor(name=name, dtype=dtype, type_name=spec.dtype.name, shape=shape)


def _plain(array: np.ndarray) -> np.ndarray:
    """Return an output in one of NumPy's own types: bfloat16 and its like become float32."""
    if isinstance(array, bytes):
        return np.array(array, dtype=object)
    array = np.asarray(array)
    return array if array.dtype.kind in "biufOc" else array.astype(np.float32)


def _blank(tensor: Tensor, rows: int) -> np.ndarray:
    shape = [1 if size is None else size for size in tensor.shape or ()]
    if tensor.shape and tensor.shape[0] is None:
        shape[0] = rows
    return np.full(shape, PIXEL if tensor.is_text else 0, tensor.dtype)


def _trial(signature: Signature) -> dict[str, np.ndarray]:
    """Return made-up rows that differ, of the types and shapes of the inputs."""
    generator = np.random.default_rng(0)
    rows: dict[str, np.ndarray] = {}
    for tensor in signature.inputs:
        shape = _blank(tensor, TRIAL_ROWS).shape
        if tensor.is_text:
            texts = np.array([str(i).encode() for i in range(TRIAL_ROWS)], object)
            made = np.empty(shape, object)
            made[:] = texts.reshape(-1, *[1] * (len(shape) - 1))
        elif tensor.dtype.kind == "f":
            made = generator.random(shape).astype(tensor.dtype)
        else:
            # 0 and 1 are valid whatever the integers are indices of.
            made = generator.integers(0, 2, shape).astype(tensor.dtype)
        rows[tensor.name] = made
    return rows


def _reason(message: str) -> str:
    """Return TensorFlow's message without the place in the graph."""
    return " ".join(message_lines(message))[:500] or "the model failed on these inputs"


def _served_graph(path: Path) -> Any:
    """Return the graph for serving, of several that TensorFlow 1 may have written."""
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((path / GRAPH_FILE).read_bytes())
    if not proto.meta_graphs:
        raise ValueError("its saved_model.pb holds no graph")
    return min(
        proto.meta_graphs, key=lambda g: ("serve" not in (t := g.meta_info_def.tags), len(t))
    )


def _assets(graph: Any) -> list[str]:
    from tensorflow.core.protobuf import meta_graph_pb2

    listed = list(graph.asset_file_def)
    # TensorFlow 1 lists them here.
    for packed in graph.collection_def["saved_model_assets"].any_list.value:
        listed.append(meta_graph_pb2.AssetFileDef.FromString(packed.value))
    return [asset.filename for asset in listed]


def _metadata(graph: Any) -> dict[str, Any]:
    from google.protobuf import json_format  # type: ignore[import-untyped]

    return {
        name: json_format.MessageToDict(
            definition,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        for name, definition in sorted(graph.signature_def.items())
    }
