"""What workers and parameter servers run: a server of TensorFlow's, until they are told to end.

What they do is decided by the chief, whose closures and variables come over gRPC. They end neither
by themselves nor when the chief ends: the launcher tells them.
"""

from __future__ import annotations

import tensorflow as tf

from trainer.config import Job, RetryableError
from trainer.runtime import Reporter, StopRequest


def serve(job: Job, reporter: Reporter, stopped: StopRequest) -> None:
    """Serve the chief.

    Args:
        job: Its cluster names this process's role and address.
        reporter: Where it is said once the server answers.
        stopped: True when it is time to end.

    Raises:
        RetryableError: The address cannot be served.
    """
    cluster = job.cluster
    roles = {name: list(getattr(cluster, name)) for name in ("chief", "worker", "ps")}
    address = roles[cluster.role][cluster.index]
    # Not those between operations: one that waits for another host would keep its thread.
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=job.threads)
    # As much memory of a GPU as is needed, not all of it.
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
        why = str(error).partition("\n")[0]
        raise RetryableError(f"{cluster.task}: cannot serve {address}: {why}") from None
    reporter.info(f"{cluster.task} serves {address}")
    while not stopped.wait(3600):
        pass
    del server
