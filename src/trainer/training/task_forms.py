"""The form of labels and outputs, by which the loss is chosen, and the mistakes in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from trainer.config import UserError
from trainer.models import ModelModule

_SAY = 'set TASK = "regression" in the module, or write a loss_fn(labels, outputs, sample_weight)'


def form_of(module: ModelModule, labels: Any, outputs: Any) -> str | None:
    """Return the form of labels and outputs, or None if they have none that is known.

    Args:
        module: Its `TASK` decides where labels alone do not.
        labels: A structure of specs or tensors of a batch.
        outputs: The same of a model's outputs.

    Returns:
        `sparse`, `one-hot`, `binary` or `regression`.
    """
    if tf.nest.is_nested(labels) or tf.nest.is_nested(outputs):
        return None
    (left, kind), right = _shape(labels), _shape(outputs)[0]
    if left is None or right is None or not right or not _is_number(kind):
        return None
    if module.task == "regression":
        return "regression" if _without_one(left) == _without_one(right) else None
    whole, classifies = not kind.is_floating, module.task == "classification"
    if len(right) == 1 or right[-1] == 1:
        return "binary" if (whole or classifies) and len(left) < 3 else None
    if len(left) == len(right) and left[-1] == right[-1]:
        return "one-hot"
    if whole and (len(left) == len(right) - 1 or (len(left) == len(right) and left[-1] == 1)):
        return "sparse"
    return None


def checked_form(module: ModelModule, model: keras.Model, labels: Any, outputs: Any) -> str:
    """Return the form of labels and outputs, see `form_of`.

    Raises:
        UserError: They have none that is known; one line says which function to change.
    """
    name = module.name
    if tf.nest.is_nested(outputs):
        raise UserError(
            subject=f"keras_model of {name}",
            problem=f"its model has {len(tf.nest.flatten(outputs))} outputs, {shown(outputs)}, "
            "expected one",
            remedy="give it one, or write a loss_fn(labels, outputs, sample_weight)",
        )
    subject, have = f"input_fn of {name}", f"its labels are {shown(labels)}"
    if tf.nest.is_nested(labels):
        raise UserError(
            subject=subject,
            problem=f"{have}, expected one tensor",
            remedy="give one, or write a loss_fn(labels, outputs, sample_weight)",
        )
    shape, kind = _shape(labels)
    if shape is None:
        raise UserError(
            subject=subject,
            problem=f"{have} of unknown rank",
            remedy="give their shape, as by ensure_shape or output_signature",
        )
    if _shape(outputs)[0] is None:
        raise UserError(
            subject=f"keras_model of {name}", problem=f"{model.name} gives outputs of unknown rank"
        )
    if form := form_of(module, labels, outputs):
        return form
    given = f"{have} for outputs {shown(outputs)}"
    if module.task == "regression":
        raise UserError(
            subject=subject, problem=f"{given}, expected numbers of the same shape (regression)"
        )
    if kind.is_floating and module.task is None:
        raise UserError(
            subject=subject,
            problem=f"{given}, expected integer classes or one-hot rows",
            remedy=f"for numbers {_SAY}",
        )
    raise UserError(
        subject=subject,
        problem=f"{given}, expected {_expected(_shape(outputs)[0] or ())}",
        remedy="change one of them, or write a loss_fn(labels, outputs, sample_weight)",
    )


def shown(struct: Any) -> str:
    """Return dtypes and shapes of a structure for people: `float32 [?, 4]`."""
    if isinstance(struct, Mapping):
        return "{" + ", ".join(f"{name}: {shown(value)}" for name, value in struct.items()) + "}"
    if isinstance(struct, (list, tuple)):
        return "(" + ", ".join(map(shown, struct)) + ")"
    shape, kind = getattr(struct, "shape", None), getattr(struct, "dtype", None)
    if kind is None:
        return type(struct).__name__
    name = tf.as_dtype(kind).name
    sizes = None if shape is None or tf.TensorShape(shape).rank is None else tf.TensorShape(shape)
    if sizes is None:
        return name
    return f"{name} [{', '.join('?' if size is None else str(size) for size in sizes)}]"


def _expected(outputs: tuple[int | None, ...]) -> str:
    if len(outputs) < 2 or outputs[-1] == 1:
        return "integers [?] or [?, 1], 0 or 1"
    inner = "".join(f", {'?' if size is None else size}" for size in outputs[1:-1])
    return f"integers [?{inner}] from 0 to {(outputs[-1] or 0) - 1}, or one-hot rows"


def _shape(spec: Any) -> tuple[tuple[int | None, ...] | None, tf.DType]:
    shape = tf.TensorShape(spec.shape)
    return (None if shape.rank is None else tuple(shape)), tf.as_dtype(spec.dtype)


def _is_number(kind: tf.DType) -> bool:
    return kind.is_floating or kind.is_integer or kind.is_bool


def _without_one(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Return the sizes of an example without a last 1."""
    inner = shape[1:]
    return inner[:-1] if inner and inner[-1] == 1 else inner
