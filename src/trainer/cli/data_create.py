"""`trainer data create`: writes a data set as TFRecords."""

from __future__ import annotations

import argparse
import os

from trainer.cli.reading_flags import add_reading_flags, reading_of
from trainer.config import Parser, UserError, argument_type
from trainer.runtime import log, output

HELP = "write TFRecords"
EXAMPLES = """\
# write data/tfrecord/train and data/tfrecord/test, four files each
trainer data create --source data/mnist --out data/tfrecord --shards 4
# write synthetic digits
trainer data create --out data/synthetic
"""


def add_flags(parser: Parser) -> None:
    """Add where the data comes from and goes to."""
    parser.add_argument(
        "--source",
        metavar="DIR",
        help="folder, file or glob of any format that --train takes; s3:// and gs:// too "
        "(default: synthetic digits)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="writes DIR/train, DIR/test and DIR/manifest.json; s3:// and gs:// too",
    )
    parser.add_argument(
        "--shards",
        metavar="N",
        type=argument_type(int),
        default=1,
        help="files a split (default: %(default)s)",
    )
    parser.add_argument("--gzip", action="store_true", help="pack the files with gzip")
    parser.add_argument(
        "--workers",
        metavar="N",
        type=argument_type(int),
        help="files written at a time (default: as many as processors)",
    )
    add_reading_flags(parser)


def run(args: argparse.Namespace) -> None:
    """Write the data set; print the names of the files."""
    # Standard output has the names of the files alone.
    log.begin(to="err")
    for name in ("shards", "workers"):
        number = getattr(args, name)
        if number is not None and number < 1:
            raise UserError(
                subject=f"--{name} {number}",
                problem="expected a number of 1 or more",
            )
    from trainer.data import create_anywhere

    written = create_anywhere(
        source=args.source,
        out=args.out,
        shards=args.shards,
        packed=args.gzip,
        reading=reading_of(args),
        workers=args.workers or len(os.sched_getaffinity(0)),
    )
    output.out("\n".join(written))
