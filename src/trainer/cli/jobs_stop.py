"""`trainer jobs stop`: asks a job to save and end."""

from __future__ import annotations

import argparse
import logging

from trainer.cli import backend_flags
from trainer.config import Parser
from trainer.runtime import log

logger = logging.getLogger(__name__)

HELP = "stop a job, which saves before it ends"
EXAMPLES = """\
# stop a job
trainer jobs stop trainer-cnn-20260101-120000-1a2b --on sagemaker
"""


def add_flags(parser: Parser) -> None:
    """Add what all backends share."""
    backend_flags.add_job_flags(parser)


# The flags that say where the jobs are.
add_named_flags = backend_flags.add_connection_flags


def run(args: argparse.Namespace) -> None:
    """Ask the job to stop, unless it has ended already."""
    log.begin(to="err")
    chosen = backend_flags.choose_backend(args, flag="--on")
    service = chosen.backend.connect(chosen.options)
    status = service.status(args.name)
    if status.is_over:
        logger.info("%s is %s already", args.name, status.state)
        return
    service.stop(args.name)
    logger.info("%s: asked to stop; it saves, and ends by itself", args.name)
