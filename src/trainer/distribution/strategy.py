"""The half of a strategy that the training loop calls; the base class is for one process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.config import PEER_CODE, PeerError
from trainer.runtime import Device, device_in_use, log


@contextlib.contextmanager
def raising_peer_error(*errors: type[Exception]) -> Iterator[None]:
    """Raise PeerError in place of the errors that the end of another process causes."""
    try:
        yield
    except errors as error:
        if any(sign in str(error) for sign in _OWN):
            raise
        # TensorFlow's message begins with the place of the error, and its cause comes later.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = next((line for line in lines if not line.startswith(_WHERE)), "")
        raise PeerError(f"another process of the job is gone: {why[:200]}") from None


@contextlib.contextmanager
def exit_if_stuck(seconds: float) -> Iterator[None]:
    """End this process, and with it the job, if the block takes longer.

    TensorFlow's collective operations wait without end for a process that is alive but hangs, and
    cannot be interrupted; a time limit of their own would take a thread for every operation.

    Args:
        seconds: Time for the block.
    """

    def give_up() -> None:
        log.failure(
            f"trainer: error: not all processes have answered for {seconds:g} s: one of them "
            "hangs, perhaps this one, while it reads its data"
        )
        os._exit(PEER_CODE)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


_WHERE = ("Graph execution error", "Detected at", "File ", "Node:", "Stack trace", "<stack traces")
# TensorFlow reports what the user's own Python raises as it reads examples by the same errors.
_OWN = ("\nTraceback (most recent call last):", "{{node IteratorGetNext}}")


class Strategy:
    """One process with one device; a subclass overrides what is otherwise in several.

    A replica is a copy of the model that computes gradients; a process has one for each of its
    devices. All replicas take the same step at the same time, each on its part of the batch.

    Attributes:
        rank: The number of this process.
        processes: The number of processes.
        local: The replicas of this process.
        is_chief: True in the process that writes checkpoints, the model and the report.
        in_graph: True if TensorFlow's operations alone have to read the data, as they run in
            other processes.
        io_device: The device that reads and writes checkpoints, if not that of the variables.
        counts_cpu: True if this process's processor time is that of the steps.
        times_exchange: True if steps tell how long they wait for the gradients of other processes.
        sums_in_update: True if the optimizer sums gradients, and not `sum_gradients`.
    """

    rank = 0
    processes = 1
    local = 1
    is_chief = True
    in_graph = False
    io_device: str | None = None
    counts_cpu = True
    times_exchange = False
    sums_in_update = False

    @property
    def replicas(self) -> int:
        """Replicas of all processes together."""
        return self.processes * self.local

    def device(self) -> Device:
        """Return the device that computes the steps."""
        return device_in_use(tf)

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context in which model and optimizer have to be made."""
        return contextlib.nullcontext()

    def around(self) -> AbstractContextManager[None]:
        """Return a context for the whole run, which names the error that a lost process causes."""
        return contextlib.nullcontext()

    # In the compiled step.

    def on_replicas(self, function: Callable[[], Any]) -> Any:
        """Call a function on each replica of this process, and return the sum of the results."""
        return function()

    def replica(self) -> int | tf.Tensor:
        """Return the number of the calling replica within this process; only in `on_replicas`."""
        return 0

    def sum_gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
        """Return one replica's gradients summed over all, unless the optimizer sums them."""
        return gradients

    def start(self, step: int) -> None:
        """Prepare for the first step, after so many steps of earlier runs."""

    def count_step(self, optimizer: keras.Optimizer) -> None:
        """Count a step; each replica calls this before it takes one."""

    # Between calls.

    def source(self, make: Callable[[Any, int, Any], tf.data.Dataset]) -> Any:
        """Return an iterator on each worker over its own share of the data, if `in_graph`.

        Args:
            make: Makes a data set of TensorFlow's operations, given a worker's index, the number
                of workers, and the steps that all have done when it begins.
        """
        raise NotImplementedError

    def call(self, function: Callable[..., Any], source: Any, count: int) -> np.ndarray:
        """Take steps.

        Args:
            function: The compiled steps, given a source and a number of steps.
            source: Arrays with a row for each step, or an iterator over this process's batches.
            count: The number of steps.

        Returns:
            This process's share of the figures of each step, float32 [count, figures].
        """
        figures: np.ndarray = function(source, tf.constant(count)).numpy()
        return figures

    def sum(self, numbers: Sequence[float]) -> np.ndarray:
        """Return sums over all processes, float64, one for each number; all processes call it."""
        return np.asarray(numbers, np.float64)

    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        """Give all replicas the values of the chief's variables."""

    def average(self, variables: Sequence[tf.Variable]) -> None:
        """Give all replicas the mean of their values, as their moving averages differ."""

    def close(self) -> None:
        """Leave the other processes; the last call."""


SINGLE_PROCESS = Strategy()
