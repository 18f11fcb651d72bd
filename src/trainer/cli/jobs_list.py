"""`trainer jobs list`: lists the jobs of a backend."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence

from trainer.cli import backend_flags
from trainer.config import Parser, argument_type
from trainer.runtime import log, output

HELP = "list jobs, newest first"
EXAMPLES = """\
# the newest jobs on SageMaker
trainer jobs list --on sagemaker --limit 5
"""


def add_flags(parser: Parser) -> None:
    """Add what all backends share."""
    parser.add_argument("--on", metavar="PLACE", help="where (default: `to` of the settings)")
    parser.add_argument(
        "--limit", type=argument_type(int), metavar="N", default=20, help="(default: 20)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_named_flags(parser: Parser, argv: Sequence[str]) -> None:
    """Add the flags that say where the jobs are."""
    backend_flags.add_backend_flags(parser, argv, flag="--on", connection_only=True)


def run(args: argparse.Namespace) -> None:
    """Print a line for each job."""
    log.begin(to="err")
    chosen = backend_flags.choose_backend(args, flag="--on")
    jobs = chosen.backend.connect(chosen.options).jobs(args.limit)
    if args.json:
        output.out_json([dataclasses.asdict(job) for job in jobs])
        return
    width = max([len(job.name) for job in jobs], default=0)
    for job in jobs:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created))
        output.out(f"{job.name:{width}}  {job.status.state:9}  {when}  {job.detail}".rstrip())
