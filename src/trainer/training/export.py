"""The export of a SavedModel: written whole or not at all, and compared before it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.config import Hparams
from trainer.models import ModelModule
from trainer.packaging import (
    DEFAULT_SIGNATURE,
    Arrays,
    Inputs,
    RowBehavior,
    call_by_signature,
    compare_rows,
    inputs_by_name,
    place_model,
    save_model,
    write_class_names,
    write_mark,
)
from trainer.runtime import error_message
from trainer.storage import without_wildcards

# Rows that the comparison sends one by one and together.
ROWS = 8
# Test examples on which the exported model is compared with the trained one.
SAMPLE = 64


class ExportError(Exception):
    """The exported model does not answer as the trained one does."""


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """The differences from the trained model that an exported one may have.

    Attributes:
        outputs: Largest difference of a float output, as a share of the largest output, or of 1 if
            that is more. A reloaded model runs the same operations; only their fusing may differ.
        classes: Share of the rows whose class may differ: two classes may be equally probable.
        precision: Mean difference between outputs in float32 and in the half precision of the
            training, as a share of the mean output.
    """

    outputs: float = 1e-4
    classes: float = 0.05
    precision: float = 0.05


def export(
    model: keras.Model,
    *,
    module: ModelModule,
    hparams: Hparams,
    model_dir: Path,
    sample: Any,
    class_names: Sequence[str] = (),
    layout: str = "version",
    device: str | None = None,
    tolerances: Tolerances = Tolerances(),
) -> Path:
    """Write `model_dir/<version>/saved_model.pb`, or what the layout wants, and check it.

    It computes in float32 whatever the training's precision was, so that any server on any
    processor can run it.

    Args:
        model: The trained model.
        module: Its module, which makes the signatures. If it has `serving_samples`, the signatures
            that this names are compared, else those that take features.
        hparams: The hyperparameters that it was built with.
        model_dir: The folder of versions.
        sample: Features [n, …] to compare the models on: a tensor, or a structure of tensors.
        class_names: The names of the classes by label; empty if there are none.
        layout: See `trainer.packaging.layout`.
        device: The device that writes files, if not that of the variables.
        tolerances: How far the exported model's outputs may be off.

    Returns:
        The model's folder, or the archive; that of a new version has one more than the highest
        number there.

    Raises:
        ExportError: The reloaded model answers otherwise; nothing is left behind.
        OSError: The folder cannot be written.
    """
    served = model
    if hparams.precision != "float32":
        keras.config.set_dtype_policy("float32")
        served = module.keras_model(hparams)
        served.set_weights(model.get_weights())
        _check_rounding(
            model(sample, training=False),
            served(sample, training=False),
            tolerance=tolerances.precision,
        )
    signatures = module.serving_input_fn(served)

    def write(folder: Path) -> None:
        save_model(served, folder, signatures=signatures, device=device)
        if class_names:
            write_class_names(folder, class_names)
        _compare(folder, module=module, signatures=signatures, sample=sample, tolerances=tolerances)

    return place_model(model_dir, layout, write)


def sample_of(test: tf.data.Dataset) -> Any:
    """Return the features of some test examples, to compare models on."""
    return tf.nest.map_structure(lambda rows: rows[:SAMPLE], next(iter(test))[0])


def _compare(
    path: Path, *, module: ModelModule, signatures: dict, sample: Any, tolerances: Tolerances
) -> None:
    """Raise an ExportError unless the model in `path` answers as the one in memory."""
    # Keep a reference: the signatures hold only weak ones to the variables.
    loaded = tf.saved_model.load(str(without_wildcards(path)))
    inputs_of: dict[str, Inputs] = {}
    serving_samples = getattr(module, "serving_samples", None)
    arguments = serving_samples(sample) if serving_samples else None
    if arguments is not None:
        # All signatures get the same examples, so that one output of the model is that of all.
        inputs_of = {name: _inputs(loaded, name, argument) for name, argument in arguments.items()}
        answer = call_by_signature(signatures[DEFAULT_SIGNATURE], inputs_of[DEFAULT_SIGNATURE])
        expected = dict.fromkeys(inputs_of, answer)
    else:
        for name, served in loaded.signatures.items():
            inputs = inputs_by_name(served, sample, written=signatures[name])
            if inputs is not None:
                inputs_of[name] = inputs
        expected = {n: call_by_signature(signatures[n], inputs) for n, inputs in inputs_of.items()}
    for name, inputs in inputs_of.items():
        try:
            answered = loaded.signatures[name](**inputs)
        except Exception as error:
            why = error_message(error)
            raise ExportError(f"the SavedModel's {name} does not answer: {why}") from None
        for key, value in _named(expected[name]).items():
            problem: str | None = "are not there"
            if key in answered:
                problem = _difference(value, answered[key], tolerances)
            if problem:
                raise ExportError(f"the SavedModel's {name}: {key} {problem}")
    independent = [
        n for n, inputs in inputs_of.items() if _independent(loaded.signatures[n], inputs)
    ]
    write_mark(path, independent)


def _inputs(loaded: Any, name: str, argument: Any) -> Inputs:
    """Return what a module's `serving_samples` has for a signature, by the names of its inputs."""
    if isinstance(argument, dict):
        return argument
    served = loaded.signatures.get(name)
    names = list(served.structured_input_signature[1]) if served else []
    if len(names) != 1:
        why = "there is no such signature"
        if served:
            why = (
                f"it takes {', '.join(names)}; serving_samples has to give it a dictionary of them"
            )
        raise ExportError(f"the SavedModel's {name} does not answer: {why}")
    return {names[0]: argument}


def _independent(served: Any, inputs: Inputs) -> bool:
    """Return whether a signature is known to compute each row by itself."""

    def call(rows: Arrays) -> Arrays:
        outputs = served(**{name: tf.constant(value) for name, value in rows.items()})
        return {name: np.asarray(value) for name, value in outputs.items()}

    try:
        rows = {name: np.asarray(value[:ROWS]) for name, value in inputs.items()}
        return compare_rows(call, rows) is RowBehavior.INDEPENDENT
    except (tf.errors.OpError, ValueError, TypeError):
        # The signature takes only certain numbers of rows.
        return False


def _named(outputs: Any) -> dict[str, tf.Tensor]:
    """Return outputs by the names that a SavedModel gives them."""
    if isinstance(outputs, dict):
        return outputs
    several = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return {f"output_{i}": output for i, output in enumerate(several)}


def _difference(
    expected: tf.Tensor, answered: tf.Tensor, tolerances: Tolerances = Tolerances()
) -> str | None:
    """Return how an output differs from the trained model's, in words; None if it does not."""
    if expected.shape != answered.shape:
        return f"have shape {answered.shape}, the model's {expected.shape}"
    if expected.dtype.is_floating:
        largest = _largest(expected, answered)
        finite = tf.where(tf.math.is_finite(expected), expected, tf.zeros_like(expected))
        size = max(1.0, _largest(finite, tf.zeros_like(finite)))
        if largest <= tolerances.outputs * size:
            return None
        return f"differ from the model's by {largest:.2g}"
    share = float(np.mean(expected.numpy() != answered.numpy()))
    return None if share <= tolerances.classes else f"are others than the model's for {share:.0%}"


def _check_rounding(trained: Any, served: Any, *, tolerance: float) -> None:
    """Raise an ExportError unless float32 outputs are close to those of the trained precision."""
    for before, after in zip(tf.nest.flatten(trained), tf.nest.flatten(served), strict=True):
        before, after = (tf.cast(each, tf.float32).numpy() for each in (before, after))
        # Examples with values that are not finite have no answers to compare.
        finite = np.isfinite(before)
        if not finite.any():
            continue
        before, after = before[finite], after[finite]
        off = float(np.mean(np.abs(before - after)) / np.mean(np.abs(after)))
        if not off <= tolerance:
            raise ExportError(f"in float32 the model's outputs are off by {off:.1%}")


def _largest(a: tf.Tensor, b: tf.Tensor) -> float:
    one, other = (each.numpy().astype(np.float64) for each in (a, b))
    alike = (one == other) | (np.isnan(one) & np.isnan(other))
    return float(np.max(np.where(alike, 0.0, np.abs(one - other))))
