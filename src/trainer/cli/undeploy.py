"""`trainer undeploy`: takes down what `trainer deploy` made."""

from __future__ import annotations

import argparse

from trainer.cli.endpoint_flags import PLACE, endpoint_options
from trainer.config import Parser, add_flags as add_options
from trainer.endpoints import UndeployOptions
from trainer.runtime import log

HELP = "take down what trainer deploy made"
EXAMPLES = """\
# take down an endpoint of SageMaker, with its configuration and model
trainer undeploy mnist --to sagemaker
# say what would be taken down, the uploaded model included
trainer undeploy mnist --to vertex --delete-data --dry-run
"""


def add_flags(parser: Parser) -> None:
    """Add the name and a flag for each option."""
    parser.add_argument("name", metavar="NAME", help="of the endpoint")
    add_options(parser, UndeployOptions)


def run(args: argparse.Namespace) -> None:
    """Take it down, and print what is gone and what was left."""
    # Standard output has the list alone.
    log.begin(to="err")
    options = endpoint_options(UndeployOptions, args, names=PLACE)
    from trainer.endpoints import undeploy

    undeploy(args.name, options)
