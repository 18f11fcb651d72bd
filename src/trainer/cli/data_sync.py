"""`trainer data sync`: makes one folder hold what another holds, on disk or in a store."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.cli.endings import FAILURE
from trainer.cli.terminal import begin_bar_for_lines
from trainer.config import Parser, UserError, argument_type
from trainer.launch import exiting_on_sigterm
from trainer.runtime import log, output

if TYPE_CHECKING:
    from trainer.storage import SyncOutcome, SyncPlan

HELP = "copy what changed between disk, s3:// and gs://"
EXAMPLES = """\
# send a data set to a bucket, and only what changed the next time
trainer data sync data/mnist s3://bucket/mnist
# say what would be copied and deleted
trainer data sync s3://bucket/mnist gs://other/mnist --delete --dry-run
"""
# Files listed of a kind in messages.
MOST_LINES = 5


def add_flags(parser: Parser) -> None:
    """Add both places, and what is done with which files."""
    parser.description = (
        "Make DST hold what SRC holds. A file is copied if DST lacks it, if the sizes differ, or "
        "if a checksum that both sides have differs: the store's MD5, ETag, SHA-256 or CRC; "
        "files on disk are read for it. Where they have none in common, it is copied if SRC's is "
        "newer. Of two folders on disk, files with the same size and time are not read."
    )
    for name, text in (
        ("source", "a folder or file on disk, s3://BUCKET/PATH or gs://BUCKET/PATH"),
        ("target", "the folder that is made the same; a file goes into it under its own name"),
    ):
        metavar = {"source": "SRC", "target": "DST"}[name]
        parser.add_argument(name, metavar=metavar, help=text)
    parser.add_argument(
        "--delete",
        action="store_true",
        help="delete what DST has and SRC lacks, when all is copied",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="list what would be copied and deleted; change nothing",
    )
    for name, text in (("include", "look only at"), ("exclude", "leave out, on both sides,")):
        parser.add_argument(
            f"--{name}", metavar="GLOB", action="append", default=[],
            help=f"{text} files whose name, or the name of a folder above, fits; a glob with a "
            "slash begins at the top of SRC (may be repeated)",
        )  # fmt: skip
    parser.add_argument(
        "--workers", metavar="N", type=argument_type(int), default=16,
        help="transfers at a time (default: %(default)s)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Copy and delete; return 1 if a file could not be copied."""
    if not 1 <= args.workers <= 256:
        raise UserError(subject=f"--workers {args.workers}", problem="expected 1 to 256")
    from trainer.storage import NameGlobs, Synchronisation, SyncRequest

    request = SyncRequest(
        source=args.source,
        target=args.target,
        globs=NameGlobs(include=tuple(args.include), exclude=tuple(args.exclude)),
        delete=args.delete,
        workers=args.workers,
        notes=_notes(os.environ),
        gs_endpoint=os.environ.get("STORAGE_EMULATOR_HOST") or None,
    )
    begin_bar_for_lines(os.environ)
    try:
        with exiting_on_sigterm():
            work = Synchronisation(request)
            plan = work.plan()
            if args.dry_run:
                output.out("\n".join(_preview(plan)))
                return 0
            outcome = work.run(plan)
    except (KeyboardInterrupt, SystemExit):
        log.failure(
            "trainer: stopped; what has arrived is kept: the same command goes on from there"
        )
        raise
    for problem in outcome.problems[:MOST_LINES]:
        log.failure(f"trainer: {problem}")
    output.out("\n".join(_summary(outcome, args.delete)))
    return FAILURE if outcome.problems else 0


def _notes(env: Mapping[str, str]) -> Path:
    """Return the folder for notes of unfinished uploads.

    A user without a home gets a folder that cannot be made: what others can write is not trusted.
    """
    home = env.get("XDG_CACHE_HOME") or (env.get("HOME") and f"{env['HOME']}/.cache")
    return Path(home or os.devnull, "trainer", "sync")


def _preview(plan: SyncPlan) -> list[str]:
    """Return a line for each file, and one with the sums."""
    newer = set(plan.newer)
    lines = [f"copy {entry.name} {entry.size} (new)" for entry in plan.new]
    for entry in plan.changed:
        why = "changed, newer in DST" if entry.name in newer else "changed"
        lines.append(f"copy {entry.name} {entry.size} ({why})")
    lines += [f"delete {entry.name} {entry.size}" for entry in plan.deleted]
    total = (
        f"would copy {len(plan.copies)} files, {plan.copied_bytes} bytes, and delete "
        f"{len(plan.deleted)}; {plan.same} are the same"
    )
    return [*lines, f"{total}{_extra(plan.extra)}"]


def _summary(outcome: SyncOutcome, delete: bool) -> list[str]:
    """Return the last line, and those before it on what it leaves out."""
    lines: list[str] = []
    if outcome.unchecked:
        names = ", ".join(outcome.unchecked[:MOST_LINES])
        more = len(outcome.unchecked) - MOST_LINES
        lines.append(
            f"not checked, as both sides have no checksum in common: {names}"
            + (f" and {more} more" if more > 0 else "")
        )
    if outcome.problems:
        kept = "; nothing was deleted" if delete and outcome.plan.deleted else ""
        lines.append(f"{len(outcome.problems)} files were not copied{kept}; run it again for them")
    seconds, mb = outcome.seconds, outcome.moved / 1e6
    resumed = f" resumed_bytes={outcome.resumed}" if outcome.resumed else ""
    failed = f" failed={len(outcome.problems)}" if outcome.problems else ""
    lines.append(
        f"synced copied={outcome.copied} deleted={outcome.deleted} same={outcome.plan.same}"
        f"{failed} bytes={outcome.moved}{resumed} seconds={seconds:.1f} "
        f"mb_per_second={mb / max(seconds, 1e-3):.1f}{_extra(outcome.plan.extra)}"
    )
    return lines


def _extra(extra: int) -> str:
    return f"; DST has {extra} more, which --delete would delete" if extra else ""
