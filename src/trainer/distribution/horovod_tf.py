"""Horovod: one process for each device, gradients summed by its collective operations.

    trainer train --distribution horovod --processes-per-host 2

The environment lists the other processes: the launcher sets it, or `mpirun`, or `horovodrun`. Only
operations are used, none of Horovod's Keras classes, so that any release of Keras works.

Source: "Horovod with TensorFlow" in Horovod's documentation: one GPU a process, broadcast after the
optimizer is built, the first rank writes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.config import Job, UserError
from trainer.distribution.strategy import Strategy, raising_peer_error


class HorovodStrategy(Strategy):
    """One replica a process.

    Args:
        hvd: The module `horovod.tensorflow`, after `init`.
        compression: `fp16` to send gradients in 16 bits, or `none`.
    """

    def __init__(self, hvd: Any, *, compression: str) -> None:
        self._hvd = hvd
        self._compression = getattr(hvd.Compression, compression)
        self.rank, self.processes = hvd.rank(), hvd.size()
        self.is_chief = self.rank == 0
        self.times_exchange = self.processes > 1
        # The compiled step raises an unknown error, as TensorFlow does not know Horovod's.
        self._lost = (
            importlib.import_module("horovod.common.exceptions").HorovodInternalError,
            tf.errors.UnknownError,
        )

    def sum_gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
        if self.processes == 1:
            return gradients
        # An embedding's gradient comes as rows; a variable that the loss does not use has none.
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
        # One operation for all sends them together, whatever order they come in; it has a name, as
        # the tensors' own names may differ between ranks.
        summed = iter(
            self._hvd.grouped_allreduce(
                dense, op=self._hvd.Sum, compression=self._compression, name="gradients"
            )
        )
        return [None if gradient is None else next(summed) for gradient in gradients]

    def call(self, function: Callable[..., Any], source: Any, count: int) -> np.ndarray:
        with raising_peer_error(*self._lost):
            return super().call(function, source, count)

    def sum(self, numbers: Sequence[float]) -> np.ndarray:
        own = tf.constant(numbers, tf.float64)
        with raising_peer_error(*self._lost):
            total: np.ndarray = self._hvd.allreduce(own, op=self._hvd.Sum, name="sum").numpy()
        return total

    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        with raising_peer_error(*self._lost):
            self._hvd.broadcast_variables(list(variables), root_rank=0)

    def average(self, variables: Sequence[tf.Variable]) -> None:
        if variables:
            with raising_peer_error(*self._lost):
                mean = self._hvd.grouped_allreduce(
                    list(variables), op=self._hvd.Average, name="moving"
                )
            for variable, value in zip(variables, mean, strict=True):
                variable.assign(value)

    def close(self) -> None:
        self._hvd.shutdown()


def make(job: Job) -> HorovodStrategy:
    """Meet the other ranks.

    Raises:
        UserError: Horovod is not installed, or was built without NCCL where there is a GPU.
    """
    try:
        hvd = importlib.import_module("horovod.tensorflow")
    except ImportError as error:
        raise UserError(
            subject="--distribution horovod",
            problem=f"Horovod cannot be imported: {error}",
            remedy="`make horovod` builds it",
        ) from None
    if tf.config.list_physical_devices("GPU") and not hvd.nccl_built():
        raise UserError(
            subject="--distribution horovod",
            problem="there is a GPU, but this Horovod was built without NCCL",
            remedy="use the GPU image, or --distribution multi_worker_mirrored",
        )
    hvd.init()
    return HorovodStrategy(hvd, compression=job.compression)
