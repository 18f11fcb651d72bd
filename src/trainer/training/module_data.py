"""The data that a module's `input_fn` returns: checked, and made of arrays where it has those."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from trainer.config import UserError
from trainer.data import CountedDataset, Shard
from trainer.models import ModelModule
from trainer.training.task_forms import shown

EXPECTED = "(features, labels) or (features, labels, weights)"


def checked_dataset(
    made: Any, *, module: ModelModule, mode: str, batch_size: int, shard: Shard, seed: Any
) -> tf.data.Dataset | None:
    """Return what an `input_fn` has returned as a data set of batches.

    Args:
        made: A data set; or arrays of all examples, which are divided among the processes, batched,
            and for the training shuffled and repeated; None, for test data, if there is none.
        module: The module.
        mode: `train` or another split.
        batch_size: Of this process.
        shard: Which part of arrays this process reads.
        seed: Of the shuffling of arrays.

    Raises:
        UserError: It is something else.
    """
    if made is None and mode != "train":
        return None
    if isinstance(made, tuple) and len(made) in (2, 3) and _are_arrays(made):
        made = _of_arrays(made, module, mode, batch_size, shard, seed)
    if not isinstance(made, tf.data.Dataset):
        kind = "nothing" if made is None else f"a {type(made).__name__}"
        raise _mistake(module, f"returned {kind}, expected a tf.data.Dataset of {EXPECTED}")
    spec = made.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise _mistake(module, f"its data set gives {shown(spec)}, expected {EXPECTED}")
    return _checked_length(made, module, mode)


def _checked_length(data: tf.data.Dataset, module: ModelModule, mode: str) -> tf.data.Dataset:
    if not tf.executing_eagerly():
        return data
    length = int(data.cardinality())
    if mode != "train" and length == tf.data.INFINITE_CARDINALITY:
        raise _mistake(
            module,
            f"its data for mode {mode} has no end, expected one pass",
            'repeat it only where mode is "train"',
        )
    if length == 0:
        raise _mistake(module, f"its data for mode {mode} has no batch")
    return data


def _are_arrays(struct: Any) -> bool:
    flat = tf.nest.flatten(struct)
    return bool(flat) and all(isinstance(each, (np.ndarray, tf.Tensor)) for each in flat)


def _of_arrays(
    arrays: tuple[Any, ...], module: ModelModule, mode: str, size: int, shard: Shard, seed: Any
) -> tf.data.Dataset:
    counts = {each.shape[0] if len(each.shape) else None for each in tf.nest.flatten(arrays)}
    if len(counts) != 1 or None in counts:
        raise _mistake(module, f"its arrays are {shown(arrays)}, expected as many rows in each")
    if any(each.dtype == object for each in tf.nest.flatten(arrays)):
        raise _mistake(
            module,
            "an array of it holds Python objects, expected numbers or texts",
            "give all its rows one length and type, as by astype",
        )
    count = int(counts.pop() or 0)
    data = tf.data.Dataset.from_tensor_slices(arrays).shard(shard.count, shard.index)
    if mode != "train":
        return CountedDataset(data.batch(size), examples=count)
    data = data.shuffle(count, seed=seed).repeat().batch(size, drop_remainder=True)
    return CountedDataset(data, examples=count)


def _mistake(module: ModelModule, problem: str, remedy: str | None = None) -> UserError:
    return UserError(subject=f"input_fn of {module.name}", problem=problem, remedy=remedy)
