"""`trainer data split`: divides a data set into training, validation and test data."""

from __future__ import annotations

import argparse
import os

from trainer.cli.reading_flags import add_reading_flags, reading_of
from trainer.config import Parser, UserError, argument_type
from trainer.runtime import log, output

HELP = "divide data into train, validation and test"
EXAMPLES = """\
# write out/train, out/validation and out/test with equal shares of each class
trainer data split photos --out out --validation 0.1 --test 0.1
# divide the training data only, and say which seed
trainer data split data/mnist --out out --validation 0.1 --seed 7
"""


def add_flags(parser: Parser) -> None:
    """Add the data, the shares, and how to write."""
    share, number = argument_type(float), argument_type(int)
    parser.add_argument(
        "source", metavar="SOURCE",
        help="folder, file or glob that --train accepts; s3:// and gs:// too. Of a source that "
        "names splits, its training data is divided",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="DIR", required=True,
        help="writes TFRecords to DIR/train and so on, and DIR/manifest.json",
    )  # fmt: skip
    for split in ("validation", "test"):
        parser.add_argument(
            f"--{split}", metavar="SHARE", type=share, default=0.0,
            help=f"share of the examples that become {split} data (default: none)",
        )  # fmt: skip
    parser.add_argument(
        "--seed", metavar="N", type=number, default=0, help="of the choice (default: 0)"
    )
    parser.add_argument(
        "--shards", metavar="N", type=number, default=1, help="files a split (default: 1)"
    )
    parser.add_argument("--gzip", action="store_true", help="pack the files with gzip")
    parser.add_argument(
        "--workers", metavar="N", type=number,
        help="files written at a time (default: as many as processors)",
    )  # fmt: skip
    add_reading_flags(parser)


def run(args: argparse.Namespace) -> None:
    """Write the parts; print the names of the files."""
    # Standard output has the names of the files alone.
    log.begin(to="err")
    shares = {name: getattr(args, name) for name in ("validation", "test")}
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise UserError(
                subject=f"--{name} {share:g}", problem="expected a share from 0 to below 1"
            )
    rest = 1 - sum(shares.values())
    if rest <= 0 or rest == 1:
        what = "neither is given" if rest == 1 else "they leave nothing to train on"
        raise UserError(subject="--validation, --test", problem=what, remedy="as in --test 0.1")
    for name in ("shards", "workers"):
        count = getattr(args, name)
        if count is not None and count < 1:
            raise UserError(subject=f"--{name} {count}", problem="expected a number of 1 or more")
    if args.seed < 0:
        raise UserError(subject=f"--seed {args.seed}", problem="expected a number of 0 or more")
    from trainer.data import Division, create_anywhere

    parts = [("train", rest), *((name, share) for name, share in shares.items() if share)]
    written = create_anywhere(
        source=args.source,
        out=args.out,
        division=Division(shares=tuple(parts), seed=args.seed),
        shards=args.shards,
        packed=args.gzip,
        reading=reading_of(args),
        workers=args.workers or len(os.sched_getaffinity(0)),
    )
    output.out("\n".join(written))
