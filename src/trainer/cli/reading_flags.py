"""Flags of `trainer data` that say how data is read, as those of `trainer train` do."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from trainer.config import Parser, feature_names, image_size, pixel_range

if TYPE_CHECKING:
    from trainer.data import ReadOptions


def add_reading_flags(parser: Parser) -> None:
    """Add them to a verb."""
    parser.add_argument(
        "--image-size", metavar="H,W", help="resize pictures to this height and width"
    )
    parser.add_argument(
        "--pixel-range", metavar="LOW,HIGH",
        help="pixel values that become 0 and 1 (default: inferred)",
    )  # fmt: skip
    parser.add_argument(
        "--feature", metavar="NAME=NAME", nargs="+", default=[],
        help="names that the data has for what is read, such as image=img_bytes label=digit",
    )  # fmt: skip


def reading_of(args: argparse.Namespace) -> ReadOptions:
    """Return how the data is read.

    Raises:
        UserError: A value is not as it should be.
    """
    from trainer.data import ReadOptions

    return ReadOptions(
        image_size=image_size(args.image_size) if args.image_size else None,
        pixel_range=pixel_range(args.pixel_range) if args.pixel_range else None,
        features=feature_names(args.feature),
    )
