"""`trainer package`: makes the `model.tar.gz` of a model, or shows what one holds."""

from __future__ import annotations

import argparse

from trainer.config import Parser
from trainer.packaging import add_flags as add_package_flags

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
    """Add the flags of packaging."""
    add_package_flags(parser)


def run(args: argparse.Namespace) -> None:
    """Pack or inspect a model."""
    from trainer.packaging import package

    package.run(args)
