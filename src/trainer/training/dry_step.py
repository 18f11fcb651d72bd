"""One dry step of a user's module: each mistake in it is found before anything that takes long.

A batch goes through model, loss, gradients, metrics and signatures, and nothing of it is kept: no
weight changes, and no generator of random numbers draws.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.config import Split, UserError
from trainer.models import ModelModule, describe, inputs_of, is_foreign
from trainer.training.metrics import ModuleMetrics
from trainer.training.run_data import RunData, SplitData
from trainer.training.task import BinaryTask, Task
from trainer.training.task_forms import shown


def check_model(module: ModelModule, model: Any) -> None:
    """Raise a UserError unless `keras_model` has returned a model that can be trained."""
    if not isinstance(model, keras.Model):
        found = "nothing" if model is None else f"{type(model).__name__} {model!r}"[:80]
        raise _mistake(module, "keras_model", f"returned {found}, expected a keras.Model")
    if not model.built:
        raise _mistake(
            module,
            "keras_model",
            f"its model {model.name} has no weights yet, as it does not know its inputs",
            "make it of keras.Input layers, or call it once, before you return it",
        )
    if not model.trainable_variables:
        raise _mistake(module, "keras_model", f"its model {model.name} has no weights to train")


def check_outputs(
    module: ModelModule, model: keras.Model, spec: Any, *, split: Split = "train"
) -> None:
    """Raise a UserError unless a model takes features of a spec.

    Args:
        module: The module.
        model: Its model.
        spec: Of a batch: features, labels and perhaps weights.
        split: The part of the data that has it.
    """
    where = "" if split == "train" else f" for mode {split}"
    if any(tf.TensorShape(each.shape).rank is None for each in tf.nest.flatten(spec[0])):
        raise _mistake(
            module,
            "input_fn",
            f"its features are {shown(spec[0])} of unknown rank",
            "give their shape, as by ensure_shape or output_signature",
        )
    if any(isinstance(each, tf.SparseTensorSpec) for each in tf.nest.flatten(spec)):
        raise _mistake(
            module,
            "input_fn",
            "its data set gives sparse tensors, expected dense or ragged ones",
            "map tf.sparse.to_dense over it",
        )
    function = tf.function(lambda batch: model(batch, training=False), autograph=False)
    try:
        function.get_concrete_function(spec[0])
    except Exception as error:
        takes = inputs_of(model)
        expected = "" if takes is None else f", its model takes {shown(takes)}"
        raise _mistake(
            module,
            "keras_model",
            f"the features of input_fn{where} are {shown(spec[0])}{expected}: {describe(error)}",
        ) from error


def check_evaluated(module: ModelModule, model: keras.Model, data: RunData) -> None:
    """Raise a UserError unless a model takes the features of all data that `input_fn` gives."""
    form = _form(data.train.dataset.element_spec[0])
    for split, own in data.splits.items():
        spec = own.dataset.element_spec
        # Another form is rare, and needs the model traced once more.
        if own.stream is None and _form(spec[0]) != form:
            check_outputs(module, model, spec, split=split)


def check_step(
    module: ModelModule,
    model: keras.Model,
    train: SplitData,
    *,
    task: Task,
    metrics: ModuleMetrics,
    classes: int | None = None,
) -> None:
    """Take one batch through loss, gradients and metrics, and raise a UserError of what fails.

    Args:
        module: The module.
        model: Its model.
        train: The training data; where the built-in readers give it, zeros of its form stand for
            it.
        task: Of the run.
        metrics: Of the module.
        classes: The number of classes that the built-in readers have found; None if they read
            nothing.
    """
    features, labels, *rest = _batch(module, train)
    weights = rest[0] if rest and train.stream is None else None
    loss_function = "loss_fn" if module.loss_fn else "keras_model"
    with tf.GradientTape() as tape:
        with _naming(module, "keras_model"):
            outputs = model(features, training=False)
        _check_labels(module, task, labels, outputs, found=classes)
        if module.loss_fn:
            _check_numbers(module, module.loss_fn(labels, outputs, weights))
        with _naming(module, loss_function):
            losses = task.losses(labels, outputs, weights)
        loss = tf.reduce_mean(losses)
    if losses.shape[0] != _rows(labels):
        raise _mistake(
            module,
            "loss_fn",
            f"returned {shown(losses)} for {_rows(labels)} examples, expected a loss of each, or "
            "one of all",
        )
    if not np.isfinite(float(loss)):
        raise _mistake(
            module, loss_function, f"the loss of the first batch is {float(loss)}, before any step"
        )
    values = [variable.value for variable in model.trainable_variables]
    if all(each is None for each in tape.gradient(loss, values)):
        raise _mistake(
            module,
            loss_function,
            "the loss does not depend on the weights of the model: it has no gradient",
            "compute it by TensorFlow's or Keras' functions of the outputs, without rounding them",
        )
    if not metrics.names:
        return
    with _naming(module, "metrics"):
        added = metrics.added(task.aligned(labels, outputs), outputs, weights)
        metrics.results(added.numpy())


@contextlib.contextmanager
def _naming(module: ModelModule, function: str) -> Iterator[None]:
    """Raise a UserError that names a function, in place of an error in the block."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_foreign(error):
            raise
        raise _mistake(module, function, describe(error)) from error


def _batch(module: ModelModule, train: SplitData) -> tuple[Any, ...]:
    """Return a batch of training data."""
    spec = train.dataset.element_spec
    if not module.reads_data:
        zeros: tuple[Any, ...] = tf.nest.map_structure(_zeros, spec)
        return zeros
    try:
        batch: tuple[Any, ...] = next(iter(train.dataset.take(1)))
    except StopIteration:
        raise _mistake(module, "input_fn", "its training data has no batch") from None
    except Exception as error:
        raise _mistake(module, "input_fn", f"its data set fails: {describe(error)}") from error
    for kind, part in zip(("features", "labels", "weights"), batch, strict=False):
        for name, values in _named(part):
            if isinstance(values, tf.Tensor) and values.dtype.is_floating:
                wrong = int(tf.math.count_nonzero(~tf.math.is_finite(values)))
                if wrong:
                    raise _mistake(
                        module,
                        "input_fn",
                        f"{wrong} of {int(tf.size(values))} values of its {kind}{name} are NaN or "
                        "infinite in the first batch",
                        "leave such examples out, or give them a value",
                    )
    return batch


def _check_numbers(module: ModelModule, made: Any) -> None:
    """Raise a UserError unless a `loss_fn` has returned numbers."""
    kind = getattr(made, "dtype", None)
    if kind is None or not (tf.as_dtype(kind).is_floating or tf.as_dtype(kind).is_integer):
        found = "nothing" if made is None else shown(made)
        raise _mistake(
            module, "loss_fn", f"returned {found}, expected numbers: a loss of each example"
        )


def _check_labels(
    module: ModelModule, task: Task, labels: Any, outputs: Any, *, found: int | None
) -> None:
    """Raise a UserError if a label is none of the classes."""
    if type(task) not in (Task, BinaryTask):
        return
    classes = 2 if isinstance(task, BinaryTask) else int(outputs.shape[-1])
    if not module.reads_data:
        if found and found > classes:
            raise _mistake(
                module,
                "keras_model",
                f"its model has {classes} classes, outputs {shown(outputs)}, and the data {found}",
                "make as many outputs as hparams.classes says",
            )
        return
    values = np.asarray(labels)
    wrong = values[(values < 0) | (values >= classes)]
    if wrong.size:
        raise _mistake(
            module,
            "input_fn",
            f"a label is {wrong.ravel()[0]}, expected 0 to {classes - 1}, as keras_model gives "
            f"outputs {shown(outputs)}",
        )


def _named(struct: Any) -> Iterator[tuple[str, Any]]:
    """Yield each tensor of a structure with its name, such as ` left`."""
    if isinstance(struct, Mapping):
        for key, value in struct.items():
            yield from ((f" {key}{name}", each) for name, each in _named(value))
    elif isinstance(struct, (list, tuple)):
        for value in struct:
            yield from _named(value)
    else:
        yield "", struct


def _form(features: Any) -> list[Any]:
    """Return the types of features, and their shapes but for the number of rows."""
    return [
        (type(each), each.dtype, tf.TensorShape(each.shape)[1:] if each.shape.rank else None)
        for each in tf.nest.flatten(features)
    ]


def _zeros(spec: Any) -> tf.Tensor:
    """Return two examples of zeros."""
    shape = [2 if size is None else size for size in tf.TensorShape(spec.shape)]
    return tf.zeros(shape, tf.as_dtype(spec.dtype))


def _rows(batch: Any) -> int:
    first = tf.nest.flatten(batch)[0]
    return int(first.nrows()) if isinstance(first, tf.RaggedTensor) else int(first.shape[0])


def _mistake(
    module: ModelModule, function: str, problem: str, remedy: str | None = None
) -> UserError:
    return UserError(subject=f"{function} of {module.name}", problem=problem, remedy=remedy)
