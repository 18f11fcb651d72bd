"""`trainer jobs logs`: prints what a job's containers print."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence

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
    parser.add_argument("name", metavar="NAME", help="the job")
    parser.add_argument("--on", metavar="PLACE", help="where (default: `to` of the settings)")
    parser.add_argument("--follow", action="store_true", help="go on until the job ends")


def add_named_flags(parser: Parser, argv: Sequence[str]) -> None:
    """Add the flags that say where the job is."""
    backend_flags.add_backend_flags(parser, argv, flag="--on", connection_only=True)


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
