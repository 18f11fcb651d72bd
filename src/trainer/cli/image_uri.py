"""`trainer image-uri`: finds AWS's prebuilt images."""

from __future__ import annotations

import argparse

from trainer.config import Parser, add_flags as add_options, from_flags
from trainer.endpoints import ImageQuery
from trainer.runtime import log, output

HELP = "find AWS's prebuilt images, by the SDK's tables"
EXAMPLES = """\
# print the newest image that serves TensorFlow on CPUs
trainer image-uri tensorflow --scope inference --region eu-west-1
# print an image that trains XGBoost
trainer image-uri xgboost --version 1.7-1
# list the frameworks and algorithms
trainer image-uri
"""


def add_flags(parser: Parser) -> None:
    """Add the framework and a flag for each option."""
    parser.add_argument(
        "framework", metavar="FRAMEWORK", nargs="?",
        help="such as tensorflow, pytorch, xgboost or kmeans (default: list them)",
    )  # fmt: skip
    add_options(parser, ImageQuery)


def run(args: argparse.Namespace) -> None:
    """Print the uri, or the names of all frameworks."""
    # Standard output has the uri alone.
    log.begin(to="err")
    query = from_flags(ImageQuery, vars(args))
    from trainer.endpoints import find_tables, frameworks_in, image_uri

    tables = find_tables(query.tables)
    if args.framework is None:
        output.out("\n".join(frameworks_in(tables)))
    else:
        output.out(image_uri(tables, args.framework, query))
