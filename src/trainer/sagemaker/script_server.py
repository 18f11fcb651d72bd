"""Run a parameter server beside a user's script: `python -m trainer.sagemaker.script_server`.

TF_CONFIG names the cluster and this server. SIGTERM ends it.
"""

from __future__ import annotations

import json
import logging
import os
import sys

from trainer.launch import end_with_parent
from trainer.runtime import log, output

logger = logging.getLogger(__name__)


def main() -> int:
    """Serve until this process is ended.

    Returns:
        The exit code: 200 if the address cannot be served, which a new try may cure.
    """
    output.begin(os.environ)
    log.begin(to="err")
    end_with_parent()
    config = json.loads(os.environ["TF_CONFIG"])
    task = config["task"]
    from trainer.config import RETRY_CODE
    from trainer.runtime import error_message, import_tensorflow

    tf = import_tensorflow(start=False)
    try:
        server = tf.distribute.Server(
            tf.train.ClusterSpec(config["cluster"]),
            job_name=task["type"],
            task_index=task["index"],
            config=tf.compat.v1.ConfigProto(device_count={"GPU": 0}),
        )
    except tf.errors.OpError as error:
        address = config["cluster"][task["type"]][task["index"]]
        logger.error("parameter server: cannot serve %s: %s", address, error_message(error))
        return RETRY_CODE
    server.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
