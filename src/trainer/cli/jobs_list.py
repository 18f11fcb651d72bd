"""`trainer jobs list`: lists the jobs of a backend."""

from __future__ import annotations

import argparse
import dataclasses
import time

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
    backend_flags.add_job_flags(parser, named=False)
    parser.add_argument(
        "--limit", type=argument_type(int), metavar="N", default=20, help="(default: 20)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


# The flags that say where the jobs are.
add_named_flags = backend_flags.add_connection_flags


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
