"""A request that a model answers, made of its signature: what is printed and what is tried."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from trainer.packaging import DEFAULT_SIGNATURE, saved_model


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """A request of one row.

    Attributes:
        expression: Its JSON as an expression of Python, short for large inputs, such as
            `{"instances": [[[[0.0]] * 28] * 28]}`.
        document: The same as a value.
        has_class_names: Whether the model has names for the classes that it answers with.
    """

    expression: str
    document: Any
    has_class_names: bool = False


def sample_of(graph: saved_model.MetaGraph) -> SampleRequest:
    """Return a request of one row of zeros for the signature that is called by default.

    Args:
        graph: The model's; where its default signature takes texts, one that takes numbers alone
            is named in the request.
    """
    signatures = {signature.name: signature for signature in graph.signatures}
    chosen = signatures.get(DEFAULT_SIGNATURE) or graph.signatures[0]
    if any(tensor.dtype == "string" for tensor in chosen.inputs):
        plain = (s for s in graph.signatures if all(t.dtype != "string" for t in s.inputs))
        chosen = next(plain, chosen)
    if all(tensor.shape is None or tensor.shape[:1] == (None,) for tensor in chosen.inputs):
        rows = {t.name: _zeros(t, (t.shape or (None,))[1:]) for t in chosen.inputs}
        text, value = _by_name(rows)
        key, text, value = "instances", f"[{text}]", [value]
    else:
        values = {tensor.name: _zeros(tensor, tensor.shape or ()) for tensor in chosen.inputs}
        key, (text, value) = "inputs", _by_name(values)
    if chosen.name == DEFAULT_SIGNATURE:
        return SampleRequest(expression=f'{{"{key}": {text}}}', document={key: value})
    name = json.dumps(chosen.name)
    return SampleRequest(
        expression=f'{{"signature_name": {name}, "{key}": {text}}}',
        document={"signature_name": chosen.name, key: value},
    )


def _by_name(values: dict[str, tuple[str, Any]]) -> tuple[str, Any]:
    if len(values) == 1:
        return next(iter(values.values()))
    text = ", ".join(f"{json.dumps(name)}: {text}" for name, (text, _) in values.items())
    return f"{{{text}}}", {name: value for name, (_, value) in values.items()}


def _zeros(tensor: saved_model.TensorInfo, shape: tuple[int | None, ...]) -> tuple[str, Any]:
    """Return nested lists of zeros, as an expression and as they are; an open size is 1.

    A string whose name ends in `_bytes` is the base64 that JSON has in place of bytes.
    """
    value: Any = 0 if "int" in tensor.dtype else 0.0
    if tensor.dtype in ("string", "bool"):
        value = "" if tensor.dtype == "string" else False
        value = {"b64": ""} if value == "" and tensor.name.endswith("_bytes") else value
    text = json.dumps(value) if tensor.dtype == "string" else repr(value)
    for size in reversed(shape):
        text = f"[{text}]" if size in (None, 1) else f"[{text}] * {size}"
        value = [value] * (1 if size is None else size)
    return text, value
