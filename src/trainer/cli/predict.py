"""`trainer predict`: asks an endpoint about files."""

from __future__ import annotations

import argparse

from trainer.cli.endpoint_flags import PLACE, endpoint_options, endpoint_place
from trainer.config import Parser, add_flags as add_options
from trainer.endpoints import PredictOptions
from trainer.runtime import handling_stop_signals, log

HELP = "ask an endpoint about images, arrays and tables"
EXAMPLES = """\
# ask a SageMaker endpoint about all images of a folder
trainer predict mnist images --out answers.jsonl
# ask a server about rows of a table, and write a table
trainer predict http://localhost:8080 rows.csv --out answers.csv
# ask a Vertex AI endpoint about rows of JSON on standard input
trainer predict mnist - --to vertex --input-format jsonl
"""


def add_flags(parser: Parser) -> None:
    """Add the endpoint, the files and a flag for each option."""
    parser.add_argument(
        "endpoint", metavar="ENDPOINT",
        help="url of a server, name of a SageMaker endpoint or of a container, number or resource "
        "of a Vertex AI endpoint",
    )  # fmt: skip
    parser.add_argument(
        "files", metavar="FILES", nargs="+",
        help="images, .npy, .csv, .jsonl and .json files, folders, globs, or - for standard input",
    )  # fmt: skip
    add_options(parser, PredictOptions)


def run(args: argparse.Namespace) -> int:
    """Ask, and write the answers."""
    # Standard output has the answers alone.
    log.begin(to="err")
    from trainer.endpoints import connect_endpoint, kind_of, predict

    by_form = kind_of(args.endpoint)
    if by_form == "http" or not hasattr(args, "to"):
        args.to = by_form or endpoint_place(args) or "sagemaker"
    options = endpoint_options(PredictOptions, args, names=PLACE)

    with handling_stop_signals(announce=False) as stop:
        client = connect_endpoint(args.endpoint, options)
        return predict(client, args.files, options, stop=stop)
