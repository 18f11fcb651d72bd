"""TensorFlow's own synchronous strategies: Mirrored and MultiWorkerMirrored.

Every replica has a copy of each variable. Keras' optimizer sums the gradients over all replicas,
within a process and between them, so that the copies stay equal.

Sources: "Custom training with tf.distribute.Strategy" and "Multi-worker training with Keras" in
TensorFlow's guides; `keras/src/backend/tensorflow/optimizer.py` for who sums.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.config import Job
from trainer.distribution.strategy import Strategy, exit_if_stuck, raising_peer_error
from trainer.runtime import default_precision

# The errors with which collective operations end when another process is gone.
LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)
SUM = tf.distribute.ReduceOp.SUM


class MirroredStrategy(Strategy):
    """Replicas kept equal by a strategy of TensorFlow's.

    Args:
        strategy: TensorFlow's strategy.
        rank: The number of this process.
        processes: The number of processes.
        presum: True if gradients are summed before the optimizer gets them: an optimizer that
            scales the loss looks for infinities in them, and all replicas have to find the same.

    Attributes:
        stuck_after: Seconds without an answer of all processes, after which the job ends. Horovod's
            ranks wait as long: the chief may be sending a checkpoint.
    """

    stuck_after = 1800.0

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        *,
        rank: int,
        processes: int,
        presum: bool,
    ) -> None:
        self._strategy, self._presum = strategy, presum
        self.rank, self.processes, self.is_chief = rank, processes, rank == 0
        self.local = strategy.num_replicas_in_sync // processes
        self.times_exchange, self.sums_in_update = processes > 1, not presum
        self._totals = tf.function(self._total, autograph=False, reduce_retracing=True)

    def scope(self) -> AbstractContextManager[Any]:
        scope: AbstractContextManager[Any] = self._strategy.scope()
        return scope

    def on_replicas(self, function: Callable[[], Any]) -> Any:
        found = self._strategy.experimental_local_results(self._strategy.run(function))
        return None if found[0] is None else tf.add_n(list(found))

    def replica(self) -> int | tf.Tensor:
        if self.local == 1:
            return 0
        # A number or, with several workers, a tensor.
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        return number - self.rank * self.local

    def sum_gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
        if not self._presum:
            return gradients
        summed = tf.distribute.get_replica_context().all_reduce(SUM, list(gradients))
        # The optimizer will sum once more.
        return [gradient / self.replicas for gradient in summed]

    def call(self, function: Callable[..., Any], source: Any, count: int) -> np.ndarray:
        with self._checking_peers():
            return super().call(function, source, count)

    def sum(self, numbers: Sequence[float]) -> np.ndarray:
        with self._checking_peers():
            total: np.ndarray = self._totals(tf.constant(numbers, tf.float64)).numpy()
        return total

    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        if self.processes == 1:
            # An assignment to a variable reaches all its copies.
            return
        with self._checking_peers():
            for variable in variables:
                number = tf.cast(variable, tf.float64)
                whole = self._totals(number if self.is_chief else tf.zeros_like(number))
                variable.assign(tf.cast(whole, variable.dtype))

    def average(self, variables: Sequence[tf.Variable]) -> None:
        with self._checking_peers():
            for variable in variables:
                copies = self._strategy.experimental_local_results(variable)
                own = tf.add_n([tf.cast(copy, tf.float64) for copy in copies])
                mean = self._totals(own) / self.replicas
                variable.assign(tf.cast(mean, variable.dtype))

    @contextlib.contextmanager
    def _checking_peers(self) -> Iterator[None]:
        if self.processes == 1:
            yield
            return
        with raising_peer_error(*LOST), exit_if_stuck(self.stuck_after):
            yield

    def _total(self, numbers: tf.Tensor) -> tf.Tensor:
        def on_replica() -> tf.Tensor:
            own = tf.where(tf.equal(self.replica(), 0), numbers, tf.zeros_like(numbers))
            return tf.distribute.get_replica_context().all_reduce(SUM, own)

        return self._strategy.experimental_local_results(self._strategy.run(on_replica))[0]


def make_mirrored(job: Job) -> MirroredStrategy:
    """Return the strategy of one process with all its GPUs."""
    strategy = tf.distribute.MirroredStrategy()
    return MirroredStrategy(strategy, rank=0, processes=1, presum=_presum(job))


def make_multi_worker(job: Job) -> MirroredStrategy:
    """Return the strategy of all workers with all their GPUs.

    It waits until all workers are there; the launcher ends a job whose workers do not come.

    Args:
        job: Its `cluster` lists the workers.
    """
    cluster = job.cluster
    processes = max(1, len(cluster.trainers))
    # Where it lists workers, TensorFlow serves at this one's address; one alone may have no port.
    roles = ("chief", "worker") if processes > 1 else ()
    workers = {name: list(getattr(cluster, name)) for name in roles}
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({name: those for name, those in workers.items() if those}),
        task_type=cluster.role,
        task_id=cluster.index,
        rpc_layer="grpc",
    )
    strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    return MirroredStrategy(
        strategy,
        rank=max(0, cluster.rank),
        processes=processes,
        presum=_presum(job),
    )


def _presum(job: Job) -> bool:
    return (job.hparams.precision or default_precision(tf)) == "float16"
