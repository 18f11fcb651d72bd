"""What the loop asks of a way to share the work; here for one process and one device."""

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

from trainer.config import PEER, PeerError
from trainer.runtime import Device, device_in_use, output


@contextlib.contextmanager
def needing_others(*errors: type[Exception]) -> Iterator[None]:
    """Tell an error of the kinds that come of another process's end as what it is."""
    try:
        yield
    except errors as error:
        if any(sign in str(error) for sign in _OWN):
            raise
        # TensorFlow puts where it happened before what happened.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = next((line for line in lines if not line.startswith(_WHERE)), "")
        raise PeerError(f"another process of the job is gone: {why[:200]}") from None


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """End this process where the block takes longer, and with it the job.

    The collective operations of TensorFlow wait without end for a process that is there but hangs,
    and cannot be interrupted; a time limit of theirs takes a thread for every operation.
    """

    def give_up() -> None:
        output.err(
            f"trainer: error: not all processes have answered for {seconds:g} s: one of them "
            "hangs, perhaps this one, while it reads its data"
        )
        os._exit(PEER)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


_WHERE = ("Graph execution error", "Detected at", "File ", "Node:", "Stack trace", "<stack traces")
# What a user's Python raises while examples are read has its kind of error from TensorFlow.
_OWN = ("\nTraceback (most recent call last):", "{{node IteratorGetNext}}")


class Strategy:
    """One process with one device.

    A replica is a copy of the model that computes gradients; a process has one for each of its
    devices. All replicas take the same step at the same time, each on its part of the batch.

    Attributes:
        rank: Which of the processes this is.
        processes: How many there are.
        local: Replicas of this process.
        is_chief: Whether this process writes checkpoints, the model and the report.
        in_graph: Whether data has to be read by TensorFlow's operations alone, as they run in
            other processes.
        io_device: Where checkpoints are read and written, if not where the variables are.
        counts_cpu: Whether the processor time of the steps is that of the processes here.
    """

    rank = 0
    processes = 1
    local = 1
    is_chief = True
    in_graph = False
    io_device: str | None = None
    counts_cpu = True

    @property
    def replicas(self) -> int:
        """How many replicas all processes have."""
        return self.processes * self.local

    def device(self) -> Device:
        """What computes the steps."""
        return device_in_use(tf)

    def scope(self) -> AbstractContextManager[Any]:
        """Where model and optimizer are made."""
        return contextlib.nullcontext()

    def around(self) -> AbstractContextManager[None]:
        """Around the whole run: tells an error that comes of another process's end as such."""
        return contextlib.nullcontext()

    # In the compiled step.

    def on_replicas(self, function: Callable[[], Any]) -> Any:
        """Call on each replica of this process; the sum of what they return."""
        return function()

    def replica(self) -> int | tf.Tensor:
        """Which of this process's replicas calls; only from within `on_replicas`."""
        return 0

    def sum_gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
        """Of one replica: the sums over all replicas, unless the optimizer makes them."""
        return gradients

    def start(self, step: int) -> None:
        """Called before the first step, with how many were done before."""

    def count_step(self, optimizer: keras.Optimizer) -> None:
        """Called on each replica before each step."""

    # Between calls.

    def source(self, make: Callable[[Any, int, Any], tf.data.Dataset]) -> Any:
        """Where `in_graph`: an iterator on each worker, over its own share of the data.

        Args:
            make: A data set of TensorFlow's operations, from a worker's index, their number, and
                how many steps all have done when it begins.
        """
        raise NotImplementedError

    def call(self, function: Callable[..., Any], source: Any, count: int) -> np.ndarray:
        """Take steps.

        Args:
            function: Compiled, of a source and a number of steps.
            source: Arrays with a row a step, or an iterator over this process's batches.
            count: How many steps.

        Returns:
            What this process adds to the loss of each step: float32 [count].
        """
        losses: np.ndarray = function(source, tf.constant(count)).numpy()
        return losses

    def sum(self, numbers: Sequence[float]) -> np.ndarray:
        """Sum over all processes, each of which must call this: float64, as many as given."""
        return np.asarray(numbers, np.float64)

    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        """Give all replicas the values that the chief's have."""

    def average(self, variables: Sequence[tf.Variable]) -> None:
        """Give all replicas the mean of the values that they have: moving averages differ."""

    def close(self) -> None:
        """Leave the others; nothing is called afterwards."""


ALONE = Strategy()
