"""How processes share the work: one small class for each way, all for the same loop.

    none                    one process, one device
    mirrored                one process, several GPUs
    multi_worker_mirrored   several processes, TensorFlow's collective operations
    horovod                 several processes, Horovod's
    parameter_server        workers that do not wait for each other, variables on servers

A new way is one new file with a subclass of `Strategy`, and a line here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from trainer.config import Job

if TYPE_CHECKING:
    from trainer.distribution.strategy import Strategy

MODULES = {
    "none": "strategy",
    "mirrored": "mirrored",
    "multi_worker_mirrored": "mirrored",
    "horovod": "horovod",
    "parameter_server": "parameter_server",
}


def make_strategy(job: Job) -> Strategy:
    """Join the processes that share the work of a job.

    Args:
        job: Its `distribution` says how; its `cluster` who takes part.

    Raises:
        UserError: What is needed is not installed, or not there.
    """
    module = importlib.import_module(f"trainer.distribution.{MODULES[job.distribution]}")
    strategy: Strategy = module.make(job)
    return strategy
