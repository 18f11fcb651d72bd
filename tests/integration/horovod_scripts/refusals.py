"""What is not supported, asked for in one process: the error of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import horovod.keras as hvd
import horovod.tensorflow as hvd_tf
import horovod.tensorflow.keras as hvd_tfk
import keras
from keras.optimizers import SGD, LossScaleOptimizer

from common import data, fit, model

hvd.init()
errors = {}


def attempt(case: str, action: Callable[[], object]) -> None:
    """Note the error; None where there was none."""
    try:
        action()
        errors[case] = None
    except Exception as error:
        errors[case] = f"{type(error).__name__}: {error}"


def mixed_float16() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model(seed=0, dtype=None).compile(optimizer=hvd.DistributedOptimizer(SGD(0.1)), loss="mse")
    finally:
        keras.config.set_dtype_policy("float32")


def float8() -> None:
    built = model(seed=0)
    variable = built.trainable_variables[0]
    variable.overwrite_with_gradient = True
    optimizer = hvd.DistributedOptimizer(SGD(0.1))
    optimizer.apply([variable], [variable])


attempt(
    "backward_passes_per_step",
    lambda: hvd_tfk.DistributedOptimizer(SGD(0.1), backward_passes_per_step=2),
)
attempt(
    "backward_passes_per_step of horovod.tensorflow",
    lambda: hvd_tf.DistributedOptimizer(SGD(0.1), backward_passes_per_step=2),
)
attempt("Adasum", lambda: hvd.DistributedOptimizer(SGD(0.1), op=hvd.Adasum))
attempt("SyncBatchNormalization", hvd_tf.SyncBatchNormalization)
attempt("twice", lambda: hvd.DistributedOptimizer(hvd.DistributedOptimizer(SGD(0.1))))
attempt(
    "LossScaleOptimizer outside", lambda: LossScaleOptimizer(hvd.DistributedOptimizer(SGD(0.1)))
)
attempt("mixed_float16", mixed_float16)
attempt("float8", float8)
attempt(
    "jit_compile",
    lambda: fit(model(seed=0), hvd.DistributedOptimizer(SGD(0.1)), data(0), jit_compile=True),
)
attempt("BestModelCheckpoint", hvd.callbacks.BestModelCheckpoint)

(Path(sys.argv[1]) / "errors.json").write_text(json.dumps(errors))
