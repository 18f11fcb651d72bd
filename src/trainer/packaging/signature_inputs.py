"""Match the features of a model, of any structure, with the inputs of a signature."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.models import LENGTH

Inputs = dict[str, tf.Tensor]


def inputs_by_name(exported: Any, features: Any, *, written: Any = None) -> Inputs | None:
    """Return features by the names of a signature's inputs, or None if it takes something else.

    Args:
        exported: The signature of a loaded SavedModel, which takes inputs by name.
        features: A tensor, or a dictionary, list or tuple of tensors. A ragged one is given filled
            up, with the lengths of its rows.
        written: The function that the signature was made of; a list or tuple of features is
            matched with its inputs in their order there.
    """
    specs: Mapping[str, tf.TensorSpec] = exported.structured_input_signature[1]
    if isinstance(features, Mapping):
        found = dict(features)
    elif isinstance(features, (list, tuple)):
        names = _ordered(written)
        found = dict(zip(names, features, strict=False)) if len(names) == len(features) else {}
    else:
        # That of the lengths comes with another.
        own = [name for name in specs if name.removesuffix(LENGTH) not in {*specs} - {name}]
        found = dict.fromkeys(own, features) if len(own) == 1 else {}
    found |= {
        f"{name}{LENGTH}": tf.cast(value.row_lengths(), tf.int64)
        for name, value in found.items()
        if isinstance(value, tf.RaggedTensor)
    }
    found = {
        name: value.to_tensor() if isinstance(value, tf.RaggedTensor) else value
        for name, value in found.items()
    }
    if found.keys() != specs.keys():
        return None
    fits = all(spec.is_compatible_with(found[name]) for name, spec in specs.items())
    return found if fits else None


def call_by_signature(written: Any, inputs: Inputs) -> Any:
    """Call the function that a signature was made of with inputs by the signature's names."""
    names = _ordered(written)
    if len(inputs) > 1 and set(names) == set(inputs):
        # Its own parameters may be called otherwise.
        return written(*(inputs[name] for name in names))
    return written(**inputs) if len(inputs) > 1 else written(*inputs.values())


def _ordered(written: Any) -> list[str]:
    """Return the names of a function's inputs as a signature has them, in their order."""
    function = getattr(written, "python_function", None)
    given = getattr(written, "input_signature", None)
    if function is None or given is None:
        return []
    parameters = list(inspect.signature(function).parameters)
    return [
        getattr(spec, "name", None) or parameter
        for spec, parameter in zip(given, parameters, strict=False)
    ]
