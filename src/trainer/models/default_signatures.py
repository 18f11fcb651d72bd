"""The signature of a model whose module makes none: the model's inputs to its outputs, by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from trainer.config import UserError

# What the input that has the lengths of a ragged one's rows is called after it.
LENGTH = "_length"


def signatures_of(model: keras.Model, *, classifies: bool) -> dict[str, Any]:
    """Return the one signature of a model, `serving_default`.

    It takes the model's inputs by their names: keys of a dictionary, or the names of the layers
    that `keras.Input` made. A ragged one is two: rows filled up to one length, and `NAME_length`,
    int64 [n], how many values of each count.

    Args:
        model: A functional or sequential model.
        classifies: True if it chooses a class: the signature gives `probabilities`, float32
            [n, classes], and `classes`, int64 [n]. A model with one output gives the logit, or
            the probability, of class 1 of two. False gives the outputs by their names.

    Raises:
        UserError: The model does not tell its inputs, or one is ragged in several dimensions.
    """
    struct = inputs_of(model)
    inputs = [] if struct is None else tf.nest.flatten(struct)
    if not inputs:
        raise UserError(
            subject="serving_input_fn",
            problem=f"the module has none, and the model {model.name} does not tell its inputs",
            remedy="write serving_input_fn(model), or make the model of keras.Input layers",
        )
    names = _names(struct, inputs)
    are_ragged = [_is_ragged(spec, name) for name, spec in zip(names, inputs, strict=True)]
    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for name, spec in zip(names, inputs, strict=True)
    ]
    lengths = [f"{n}{LENGTH}" for n, ragged in zip(names, are_ragged, strict=True) if ragged]
    specs += [tf.TensorSpec((None,), tf.int64, name=name) for name in lengths]
    names = [*names, *lengths]
    answer = classify if classifies else _outputs

    def serving_default(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        left = iter(values[len(are_ragged) :])
        flat = [
            tf.RaggedTensor.from_tensor(value, lengths=next(left)) if ragged else value
            for value, ragged in zip(values, are_ragged, strict=False)
        ]
        features = tf.nest.pack_sequence_as(struct, flat)
        return answer(model, model(features, training=False))

    # TensorFlow, and who compares the export, know the inputs by the names of parameters.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    serving_default.__signature__ = signature  # type: ignore[attr-defined]
    return {"serving_default": tf.function(serving_default, autograph=False, input_signature=specs)}


def _is_ragged(spec: Any, name: str) -> bool:
    """Return whether an input takes rows of several lengths.

    Raises:
        UserError: It is ragged in a further dimension, too.
    """
    if not getattr(spec, "ragged", False):
        return False
    if None in spec.shape[2:]:
        raise UserError(
            subject="serving_input_fn",
            problem=f"the module has none, and the input {name} is ragged in several dimensions",
            remedy="write serving_input_fn(model), which makes a tf.RaggedTensor of tensors",
        )
    return True


def inputs_of(model: keras.Model) -> Any:
    """Return the symbolic inputs of a model as it takes them; None if it does not tell them."""
    try:
        return model.input
    except (AttributeError, ValueError):
        # A sequential model has only a list of them.
        inputs = getattr(model, "inputs", None)
    return inputs[0] if inputs and len(inputs) == 1 else inputs or None


def _names(struct: Any, inputs: list[Any]) -> list[str]:
    """Return a name for each input that a Python parameter can have."""
    names = [each.name.partition(":")[0] for each in inputs]
    if isinstance(struct, Mapping):
        # Flattened by TensorFlow in the order of the sorted keys.
        flat = tf.nest.flatten({key: key for key in struct})
        names = flat if len(flat) == len(inputs) else names
    found: list[str] = []
    for name in names:
        plain = "".join(c if c.isalnum() and c.isascii() else "_" for c in str(name))
        plain = plain if plain[:1].isalpha() else f"input_{plain}"
        found.append(plain if plain not in found else f"{plain}_{len(found)}")
    return found


def classify(model: keras.Model, outputs: Any) -> dict[str, tf.Tensor]:
    """Return probabilities, float32 [n, classes], and classes, int64 [n], of a model's outputs."""
    outputs = tf.nest.flatten(outputs)[0]
    last = getattr(model.layers[-1], "activation", None) if model.layers else None
    values = tf.cast(outputs, tf.float32)
    if values.shape[-1] == 1 or values.shape.rank == 1:
        second = tf.reshape(values, [-1])
        if last is not keras.activations.sigmoid:
            second = tf.sigmoid(second)
        probabilities = tf.stack([1 - second, second], axis=-1)
    else:
        is_softmax = last is keras.activations.softmax
        probabilities = values if is_softmax else tf.nn.softmax(values)
    return {"probabilities": probabilities, "classes": tf.argmax(probabilities, axis=-1)}


def _outputs(model: keras.Model, outputs: Any) -> dict[str, tf.Tensor]:
    if isinstance(outputs, Mapping):
        return {str(name): value for name, value in outputs.items()}
    flat = tf.nest.flatten(outputs)
    names = list(getattr(model, "output_names", None) or [])
    if len(names) != len(flat) or len(set(names)) != len(flat):
        names = [f"output_{number}" for number in range(len(flat))]
    return {
        name: tf.cast(value, tf.float32) if value.dtype.is_floating else value
        for name, value in zip(names, flat, strict=True)
    }
