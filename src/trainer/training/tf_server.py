"""TensorFlow's server, which workers and parameter servers run until the launcher ends them.

The chief sends them closures and variables over gRPC. They end neither by themselves nor when the
chief ends: the launcher sends them SIGTERM.
"""

from __future__ import annotations

import logging

import tensorflow as tf

from trainer.config import Job, RetryableError
from trainer.runtime import StopRequest, error_message

logger = logging.getLogger(__name__)


def serve(job: Job, stop_request: StopRequest) -> None:
    """Serve the chief.

    Args:
        job: Its cluster names this process's role and address.
        stop_request: Set when it is time to end.

    Raises:
        RetryableError: The address cannot be served.
    """
    cluster = job.cluster
    roles = {name: list(getattr(cluster, name)) for name in ("chief", "worker", "ps")}
    address = roles[cluster.role][cluster.index]
    # Threads between operations stay unlimited: an operation that waits for another host keeps one.
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=job.threads)
    # Take as much memory of a GPU as is needed, not all of it.
    config.gpu_options.allow_growth = True
    try:
        server = tf.distribute.Server(
            tf.train.ClusterSpec(roles),
            job_name=cluster.role,
            task_index=cluster.index,
            protocol="grpc",
            config=config,
        )
    except tf.errors.OpError as error:
        why = error_message(error)
        raise RetryableError(f"{cluster.task}: cannot serve {address}: {why}") from None
    logger.info("%s serves %s", cluster.task, address)
    while not stop_request.wait(3600):
        pass
    del server
