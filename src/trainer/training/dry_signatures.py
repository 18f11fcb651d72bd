"""The signatures of a user's module, checked before anything that takes long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from trainer.config import UserError
from trainer.models import ModelModule, describe
from trainer.training.task_forms import shown

# The operations that call a function of Python's in the process that made the graph.
_PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")


def check_signatures(module: ModelModule, model: keras.Model) -> None:
    """Raise a UserError unless `serving_input_fn` makes signatures that can be traced."""
    made = module.serving_input_fn(model)
    name = "serving_input_fn"
    write = "{'serving_default': a tf.function with an input_signature}"
    if not isinstance(made, Mapping) or not made:
        kind = "nothing" if made is None else f"a {type(made).__name__}"
        raise _mistake(module, name, f"returned {kind}, expected a dictionary", f"return {write}")
    for key, function in made.items():
        if not hasattr(function, "get_concrete_function") and not hasattr(function, "graph"):
            raise _mistake(
                module,
                name,
                f"{key} is a {type(function).__name__}, expected a tf.function",
                "decorate it with @tf.function(input_signature=[tf.TensorSpec(…)])",
            )
        if hasattr(function, "graph"):
            continue
        if function.input_signature is None:
            raise _mistake(
                module,
                name,
                f"{key} has no input_signature, so its inputs are not known",
                "decorate it with @tf.function(input_signature=[tf.TensorSpec(…)])",
            )
        try:
            traced = function.get_concrete_function()
        except Exception as error:
            raise _mistake(module, name, f"{key} fails: {describe(error)}") from error
        if _runs_python(traced.graph):
            raise _mistake(
                module,
                name,
                f"{key} runs Python code (py_function or numpy_function), which no "
                "SavedModel holds",
                "write it with keras.ops or TensorFlow's functions, or leave it out in serving",
            )
        outputs = traced.structured_outputs
        if not _is_flat(outputs):
            raise _mistake(
                module, name, f"{key} returns {shown(outputs)}, expected tensors by their names"
            )


def _runs_python(graph: Any) -> bool:
    """Return whether a graph, or a function in it, calls back into this process."""
    made = graph.as_graph_def()
    nodes = [*made.node, *(node for each in made.library.function for node in each.node_def)]
    return any(node.op in _PYTHON for node in nodes)


def _is_flat(outputs: Any) -> bool:
    if isinstance(outputs, Mapping):
        return all(tf.is_tensor(value) or hasattr(value, "dtype") for value in outputs.values())
    if isinstance(outputs, (list, tuple)):
        return all(hasattr(value, "dtype") for value in outputs)
    return hasattr(outputs, "dtype")


def _mistake(
    module: ModelModule, function: str, problem: str, remedy: str | None = None
) -> UserError:
    return UserError(subject=f"{function} of {module.name}", problem=problem, remedy=remedy)
