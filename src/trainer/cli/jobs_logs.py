"""`trainer jobs logs`: prints what a job's containers print."""

from __future__ import annotations

import argparse
import shlex

from trainer.cli import backend_flags
from trainer.config import Parser
from trainer.runtime import handling_stop_signals, log, output

HELP = "print the lines of a job"
EXAMPLES = """\
# follow a job until it ends, with its exit code
trainer jobs logs trainer-cnn-20260101-120000-1a2b --on sagemaker --follow
"""


def add_flags(parser: Parser) -> None:
    """Add what all backends share."""
    backend_flags.add_job_flags(parser)
    parser.add_argument("--follow", action="store_true", help="go on until the job ends")


# The flags that say where the jobs are.
add_named_flags = backend_flags.add_connection_flags


def run(args: argparse.Namespace) -> int:
    """Print the lines that are there, or all until the job ends."""
    from trainer.backends import Follower

    log.begin(to="err")
    chosen = backend_flags.choose_backend(args, flag="--on")
    service = chosen.backend.connect(chosen.options)
    if not args.follow:
        reader = service.logs(args.name)
        while lines := reader.read():
            for line in lines:
                output.out(f"[{line.host}] {line.text}" if line.host else line.text)
        return 0
    where = backend_flags.connection_words(chosen, flag="--on")
    again = shlex.join(["trainer", "jobs", "logs", args.name, *where, "--follow"])
    with handling_stop_signals(announce=False) as stop:
        return Follower(service, args.name, stop=stop, again=again).follow()
