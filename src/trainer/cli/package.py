"""`trainer package`: makes the `model.tar.gz` of a model, or shows what one holds."""

from __future__ import annotations

import argparse

from trainer.config import Parser, add_flags as add_options, from_flags
from trainer.packaging import PackageOptions
from trainer.runtime import log

HELP = "make the model.tar.gz of a model, or show what one holds"
EXAMPLES = """\
# pack the newest version of a model, with handlers for the server
trainer package --source runs/mnist/model --out model.tar.gz --code code
# pack a checkpoint of MXNet
trainer package --framework mxnet --source mlp --input-shape data=1,28,28,1
# show what an archive or a folder holds, and who can serve it
trainer package --inspect model.tar.gz
"""


def add_flags(parser: Parser) -> None:
    """Add a flag for each option of packaging."""
    add_options(parser, PackageOptions)
    parser.add_argument("--json", action="store_true", help="with --inspect: print JSON")


def run(args: argparse.Namespace) -> None:
    """Pack or inspect a model."""
    # Standard output has the contents of the archive alone.
    log.begin(to="err")
    from trainer.packaging import package

    package.run(from_flags(PackageOptions, vars(args)), as_json=args.json)
