"""What the scripts share: a small problem, another share of its data for each rank, and a report.

A script trains each case on its ranks and, on rank 0, once more with plain Keras in one process on
the ranks' batches joined: only averaged gradients make the two end in the same weights.
"""

from __future__ import annotations

import faulthandler
import sys
from pathlib import Path

import horovod.tensorflow as hvd
import keras
import numpy as np

# Where it hangs, before it is killed for that.
faulthandler.dump_traceback_later(100)

BATCH = 8
STEPS = 4
FEATURES = 6


def data(rank: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The rows of one rank, [BATCH * STEPS, FEATURES] and [BATCH * STEPS, 1]."""
    random = np.random.default_rng([seed, rank])
    # Shifted: the gradients of two ranks differ much.
    x = random.normal(size=(BATCH * STEPS, FEATURES)) + rank
    return x.astype("float32"), (x.sum(axis=1, keepdims=True) + rank).astype("float32")


def joined(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """All ranks' rows: the n-th batch is of all ranks' n-th batches."""
    parts = [data(rank, seed) for rank in range(size)]
    return tuple(
        np.concatenate(
            [part[i].reshape(STEPS, BATCH, -1) for part in parts], axis=1
        ).reshape(size * STEPS * BATCH, -1)
        for i in range(2)
    )  # fmt: skip


def model(seed: int, dtype: str = "float32") -> keras.Model:
    """Three layers; two have weights of the same names."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(5, activation="tanh", dtype=dtype),
            keras.layers.Dense(4, dtype=dtype),
            keras.layers.Dense(1, dtype="float32"),
        ]
    )


def fit(
    built: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    rows: tuple[np.ndarray, np.ndarray],
    *,
    size: int = 1,
    epochs: int = 2,
    **kwargs,
) -> keras.callbacks.History:
    """Compile and fit, in the order of the rows; `size` ranks' batches at once."""
    options = {key: kwargs.pop(key) for key in ("jit_compile", "metrics") if key in kwargs}
    built.compile(optimizer=optimizer, loss="mse", **options)
    return built.fit(
        *rows, batch_size=BATCH * size, epochs=epochs, shuffle=False, verbose=0, **kwargs
    )


class Report:
    """Arrays by name, written when all is done."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def weights(self, case: str, weights: list) -> None:
        """All the weights as one row."""
        print("done:", case)
        self.arrays[case] = np.concatenate([np.asarray(v, "float32").ravel() for v in weights])

    def value(self, name: str, value: object) -> None:
        self.arrays[name] = np.asarray(value)

    def write(self) -> None:
        """Write what was reported, and end when all ranks have: the first to go ends Horovod."""
        np.savez(Path(sys.argv[1]) / f"rank{hvd.rank()}.npz", **self.arrays)
        hvd.allgather_object("done")
        hvd.shutdown()
