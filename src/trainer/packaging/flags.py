"""The flags of `trainer package`, apart from what they need to be done."""

from __future__ import annotations

import argparse

from trainer.config import reader


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `trainer package`."""
    add = parser.add_argument
    add(
        *("--source", "--model-dir"),
        metavar="PATH",
        help="SavedModel, folder of versions, export/Servo, .keras file or model.tar.gz; for mxnet "
        "what the names of the checkpoint begin with",
    )
    add(
        "--out", metavar="FILE", default="model.tar.gz", help="where it goes (default: %(default)s)"
    )
    add(
        "--code",
        metavar="DIR",
        help="what goes into code/: inference.py, requirements.txt (default: that of the source)",
    )
    add("--framework", metavar="tensorflow|mxnet", default="tensorflow", help="of the model")
    add(
        "--version",
        metavar="N",
        type=reader(int),
        help="which version; for a model without, the number that it gets (default: the newest, 1)",
    )
    add(
        "--layout",
        metavar="version|servo",
        help="version: N/saved_model.pb; servo: export/Servo/N/saved_model.pb (default: version)",
    )
    add(
        "--module",
        metavar="NAME",
        help="of a .keras file: the module that has its serving_input_fn (default: the signatures "
        "that Keras gives any model)",
    )
    add(
        "--epoch", metavar="N", type=reader(int), help="mxnet: which checkpoint (default: the last)"
    )
    add(
        "--input-shape",
        metavar="NAME=N,N,…",
        nargs="+",
        action="extend",
        default=[],
        help="mxnet: an input, and its shape with the batch first, such as data=1,28,28,1",
    )
    add("--inspect", metavar="PATH", help="tell what this holds, and which containers take it")
    add("--json", action="store_true", help="with --inspect: print JSON")
