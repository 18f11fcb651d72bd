"""`trainer doctor`: examines the container that it runs in."""

from __future__ import annotations

import argparse
import os

from trainer.cli.endings import FAILURE
from trainer.config import Hparams, Job, Parser, add_flags as add_options
from trainer.runtime import log, output

HELP = "say what this container sees, and what is wrong with it"
EXAMPLES = """\
# examine platform, job, data and devices; exit with 1 if something is wrong
trainer doctor
# examine what a run with these flags would find, and print JSON
trainer doctor --json --train data/mnist --model-dir runs/mnist/model
"""


def add_flags(parser: Parser) -> None:
    """Add the flags of `trainer train`, whose run is what is examined."""
    add_options(parser, Hparams, Job)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the findings; return 1 if one of them is a problem."""
    # Standard output has the findings alone.
    log.begin(to="err")
    from trainer.doctor import run_doctor
    from trainer.platforms import Environment

    report = run_doctor(Environment(env=os.environ, argv=args.argv), vars(args))
    if args.json:
        output.out_json(report.as_dict())
    else:
        output.out("\n".join(report.lines()))
    return 0 if report.ok else FAILURE
