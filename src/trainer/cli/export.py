"""`trainer export`: makes a SavedModel of a checkpoint."""

from __future__ import annotations

import argparse

from trainer.config import Parser, add_flags as add_options, from_flags
from trainer.runtime import host_limits, import_tensorflow, log, output
from trainer.training import ExportOptions

HELP = "make a SavedModel of a checkpoint"
EXAMPLES = """\
# export the newest checkpoint of a run
trainer export --checkpoint runs/ckpt --model-dir runs/exported
# export that of the best test accuracy, compared on test images
trainer export --checkpoint runs/ckpt/best --model-dir runs/exported \\
    --test data/mnist
# export that of step 400 to a bucket, as Vertex AI wants it
trainer export --checkpoint gs://bucket/ckpt/400 \\
    --model-dir gs://bucket/model --layout flat
"""


def add_flags(parser: Parser) -> None:
    """Add a flag for each option of an export."""
    add_options(parser, ExportOptions)


def run(args: argparse.Namespace) -> None:
    """Export the model; print where it is."""
    # Standard output has the model's place alone.
    log.begin(to="err")
    options = from_flags(ExportOptions, vars(args))
    output.protect(dict(options.hp))
    host_limits.check_temporary()
    import_tensorflow(quiet=not args.debug, device="cpu")
    from trainer.training import export_checkpoint

    output.out(export_checkpoint(options))
