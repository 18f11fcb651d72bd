"""`trainer data inspect`: reads a data set, and says what it holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.cli.endings import FAILURE
from trainer.cli.reading_flags import add_reading_flags, reading_of
from trainer.config import Parser, UserError
from trainer.runtime import log, output

if TYPE_CHECKING:
    from trainer.data import SplitFacts

HELP = "say what a data set holds, and which records are damaged"
EXAMPLES = """\
# read all of it: counts, shapes, labels and damaged records of each split
trainer data inspect data/mnist
# print JSON, and draw some examples of each class
trainer data inspect data/mnist --json --contact-sheet mnist.png
"""
# Damaged records and labels printed; JSON has more.
MOST_LINES = 20


def add_flags(parser: Parser) -> None:
    """Add the paths and what is made of them."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="file, folder or glob; s3:// and gs:// too"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--contact-sheet",
        metavar="FILE",
        help="draw some examples of each class of the first split into this PNG",
    )
    add_reading_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Print the facts; return 1 if a record is damaged."""
    # Standard output has the facts alone.
    log.begin(to="err")
    from trainer.data import contact_sheet, inspect_anywhere

    found: list[SplitFacts] = []
    for facts, tables in inspect_anywhere(args.paths, reading=reading_of(args)):
        if args.contact_sheet and not found:
            _write(args.contact_sheet, contact_sheet(tables, facts.class_names))
        found.append(facts)
        if not args.json:
            output.out("\n".join(_lines(facts)))
    if args.json:
        output.out_json({"paths": args.paths, "splits": [facts.as_json() for facts in found]})
    elif args.contact_sheet:
        output.out(f"contact sheet: {args.contact_sheet}")
    return FAILURE if any(facts.damaged for facts in found) else 0


def _lines(facts: SplitFacts) -> list[str]:
    """Return what people read of a split."""
    size = "×".join(map(str, facts.shape))
    low, high = facts.found_range
    zero, one = facts.pixel_range
    several = "" if len(facts.tables) == 1 else f" and {len(facts.tables) - 1} more"
    lines = [
        f"{facts.split}: {facts.examples} examples, {facts.kind}",
        f"  files: {facts.tables[0]}{several}",
        f"  images: {size} {facts.dtype}, values {low:g} to {high:g}; "
        f"{zero:g} to {one:g} become 0 to 1",
        f"  labels: {_labels(facts)}",
    ]
    if facts.damaged:
        lines.append(f"  damaged: {facts.damaged}")
        lines += [f"    {line}" for line in facts.damage[:MOST_LINES]]
        if facts.damaged > MOST_LINES:
            lines.append(f"    … and {facts.damaged - MOST_LINES} more")
    return lines


def _labels(facts: SplitFacts) -> str:
    """Return the number of examples of each label, in one line."""
    counts = [(label, count) for label, count in enumerate(facts.label_counts) if count]
    names = dict(enumerate(facts.class_names))
    shown = ", ".join(f"{names.get(k, k)}: {count}" for k, count in counts[:MOST_LINES])
    more = f" and {len(counts) - MOST_LINES} more" if len(counts) > MOST_LINES else ""
    return f"{len(counts)} classes ({shown}{more})"


def _write(path: str, data: bytes) -> None:
    """Write a file whole.

    Raises:
        UserError: It cannot be written.
    """
    from trainer.storage import local

    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(Path(path), data)
    except OSError as error:
        raise UserError(
            subject=f"--contact-sheet {path}", problem=f"cannot be written: {error.strerror}"
        ) from None
