"""`trainer jobs fetch`: brings home what a job left."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from trainer.cli import backend_flags
from trainer.config import Parser
from trainer.runtime import StoppedError, handling_stop_signals, log, output

logger = logging.getLogger(__name__)
INTERRUPTED = 130

HELP = "bring a job's model, report and failure text here"
EXAMPLES = """\
# fetch model and report into runs/NAME
trainer jobs fetch trainer-cnn-20260101-120000-1a2b --on sagemaker
"""


def add_flags(parser: Parser) -> None:
    """Add what all backends share."""
    backend_flags.add_job_flags(parser)
    parser.add_argument("--out", metavar="DIR", help="the folder (default: runs/NAME)")


# The flags that say where the jobs are.
add_named_flags = backend_flags.add_connection_flags


def run(args: argparse.Namespace) -> int:
    """Fetch what is there, and print the folder."""
    from trainer.backends import fetch_job

    log.begin(to="err")
    chosen = backend_flags.choose_backend(args, flag="--on")
    folder = Path(args.out or f"runs/{args.name.rpartition('/')[2]}")
    with handling_stop_signals(announce=False) as stop:
        try:
            service = chosen.backend.connect(chosen.options)
            storage = chosen.backend.storage(chosen.options)
            status = fetch_job(service, args.name, folder, stopped=stop, options=storage)
        except StoppedError:
            logger.warning("interrupted; run it again to go on")
            return INTERRUPTED
    if not status.is_over:
        logger.warning("%s is %s: what it writes later is not here", args.name, status.state)
    output.out(str(folder))
    return 0
