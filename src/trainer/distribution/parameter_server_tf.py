"""Parameter servers: workers that do not wait for each other, and servers that hold variables.

The chief runs the loop. It hands closures of several steps to whichever worker is free; a worker
reads variables from the servers, computes gradients on a batch of its own share of the data, and
has the servers apply them. Steps are counted over all workers.

Sources: "Parameter server training with ParameterServerStrategy" in TensorFlow's guides, of which
"Fault tolerance" says what is lost with whom.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.config import Job, RetryableError
from trainer.distribution.strategy import Strategy
from trainer.runtime import Device, device_in_use, error_message

# When a worker is lost, another computes its closure again as a whole: not too many steps each.
MOST_STEPS = 32
# Seconds without a step, after which no worker is expected to come back.
STALLED = 300.0
# Seconds between two looks at the number of steps.
LOOK = 5.0
# TensorFlow logs a step's error in these lines, a hundred frames a worker, and raises it, too.
_RAISED_TOO = re.compile(r"processing (?:resource )?closure: |Start cancelling closures due to")


@contextlib.contextmanager
def raising_retryable_error() -> Iterator[None]:
    """Raise RetryableError in place of the errors that a lost server causes."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise RetryableError(f"a parameter server is gone: {error_message(error)}") from None


def is_news(record: logging.LogRecord) -> bool:
    """Return whether TensorFlow logs something that it does not raise as well."""
    return not _RAISED_TOO.search(str(record.msg))


def wait_until_reachable(addresses: Mapping[str, str], *, within: float) -> None:
    """Wait until all processes accept connections.

    Args:
        addresses: `host:port`, by the name of the process.
        within: Seconds for all of them together.

    Raises:
        RetryableError: One does not accept any in time.
    """
    until = time.monotonic() + within
    for name, address in addresses.items():
        host, _, port = address.rpartition(":")
        while True:
            left = until - time.monotonic()
            try:
                socket.create_connection((host, int(port)), timeout=max(0.1, left)).close()
                break
            except OSError as error:
                if left <= 0:
                    why = error.strerror or str(error)
                    raise RetryableError(
                        f"{name} does not answer at {address} within {within:g} s "
                        f"(--start-timeout): {why}"
                    ) from None
                time.sleep(min(0.1, left))


class ParameterServerStrategy(Strategy):
    """The chief's side: it hands steps to workers, which read and update variables on servers.

    Args:
        strategy: TensorFlow's strategy, connected to workers and servers.
        workers: The number of workers.
    """

    in_graph = True
    # Servers may be on other hosts, whose disks nobody keeps.
    io_device = "/job:chief/replica:0/task:0/device:CPU:0"
    counts_cpu = False

    def __init__(
        self, strategy: tf.distribute.experimental.ParameterServerStrategy, *, workers: int
    ) -> None:
        self._strategy, self._workers = strategy, workers
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        with strategy.scope():
            self._count = tf.Variable(0, dtype=tf.int64, trainable=False, name="steps_applied")

    def device(self) -> Device:
        # The chief knows no more of the workers' devices; each worker logs its own.
        gpus = [d for d in tf.config.list_logical_devices("GPU") if "/job:worker/" in d.name]
        if gpus:
            return Device(kind="gpu", name="of the workers", count=len(gpus))
        return device_in_use(tf)

    def scope(self) -> AbstractContextManager[Any]:
        scope: AbstractContextManager[Any] = self._strategy.scope()
        return scope

    def around(self) -> AbstractContextManager[None]:
        # Not only steps need the servers: evaluations and checkpoints read the weights from them.
        return raising_retryable_error()

    def on_replicas(self, function: Callable[[], Any]) -> Any:
        # A worker sees one device: the launcher gives each of them one GPU.
        return self._strategy.experimental_local_results(self._strategy.run(function))[0]

    def source(self, make: Callable[[Any, int, Any], tf.data.Dataset]) -> Any:
        def on_worker() -> tf.data.Dataset:
            index = tf.distribute.coordinator.experimental_get_current_worker_index()
            # TensorFlow calls this again when a worker comes back, which must not begin with the
            # examples that it has read before.
            return make(index, self._workers, self._count.read_value())

        function = tf.function(on_worker, autograph=False)
        return iter(self._coordinator.create_per_worker_dataset(function))

    def count_step(self, optimizer: keras.Optimizer) -> None:
        # Keras adds to its counter by reading and assigning, so that counts of workers who do so at
        # the same time are lost; this operation is atomic on its server.
        before = self._count.assign_add(1) - 1
        optimizer.iterations.assign(tf.cast(before, optimizer.iterations.dtype))
        self._optimizer = optimizer

    def start(self, step: int) -> None:
        self._count.assign(step)

    def call(self, function: Callable[..., Any], source: Any, count: int) -> np.ndarray:
        most = max(1, min(MOST_STEPS, count // self._workers))
        sizes = [most] * (count // most) + ([count % most] if count % most else [])
        # Else the loop would take an error of a lost server for one in the data.
        with raising_retryable_error():
            closures = [
                self._coordinator.schedule(function, args=(source, tf.constant(size)))
                for size in sizes
            ]
            self._wait()
            # Two workers that assigned it at once may have left it one too high or too low.
            counter = self._optimizer.iterations
            counter.assign(tf.cast(self._count, counter.dtype))
            return np.concatenate([closure.fetch() for closure in closures])

    def _wait(self) -> None:
        """Wait until all closures are done; an error of one of them is raised."""
        pause, counted = 0.001, -1
        since = looked = time.monotonic()
        while not self._coordinator.done():
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
            now = time.monotonic()
            if now - looked < LOOK:
                continue
            looked, before, counted = now, counted, int(self._count)
            if counted != before:
                since = now
            elif now - since > STALLED:
                raise RetryableError(f"no worker has taken a step for {STALLED:g} s")


def make(job: Job) -> ParameterServerStrategy:
    """Connect to all workers and servers.

    Raises:
        RetryableError: One of them does not answer.
    """
    if job.verbosity != "DEBUG":
        tf.get_logger().addFilter(is_news)
    cluster = job.cluster
    roles = {name: list(getattr(cluster, name)) for name in ("chief", "worker", "ps")}
    # TensorFlow would wait for ever for a process whose host has gone since the job was started.
    wait_until_reachable(
        {
            f"{role} {index}": address
            for role in ("ps", "worker")
            for index, address in enumerate(roles[role])
        },
        within=job.start_timeout,
    )
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(roles), task_type="chief", task_id=0, rpc_layer="grpc"
    )
    with raising_retryable_error():
        strategy = tf.distribute.experimental.ParameterServerStrategy(resolver)
        return ParameterServerStrategy(strategy, workers=len(cluster.worker))
