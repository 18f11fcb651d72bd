"""`trainer data mnist`: downloads the four original files of MNIST."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from trainer.config import Parser, UserError, argument_type
from trainer.runtime import log, output
from trainer.storage import is_remote, local_path

HELP = "download the original MNIST"
EXAMPLES = """\
# download and check the four files
trainer data mnist --out data/mnist
# ask a mirror of one's own, and write into a bucket
trainer data mnist --out gs://bucket/mnist --mirror https://example.com/mnist
"""


def add_flags(parser: Parser) -> None:
    """Add where the files come from and go to."""
    parser.add_argument(
        "--out", metavar="DIR", required=True, help="folder for the four files; s3:// and gs:// too"
    )
    parser.add_argument(
        "--mirror",
        metavar="URL",
        action="append",
        help="download from here instead (may be repeated)",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=argument_type(float),
        default=30.0,
        help="how long a mirror may take to answer (default: %(default)g)",
    )


def run(args: argparse.Namespace) -> None:
    """Download the files; print where they are."""
    if not args.timeout > 0:
        raise UserError(
            subject=f"--timeout {args.timeout:g}",
            problem="expected a number of seconds above 0",
        )
    from trainer.data import download as mnist

    mirrors, limits = args.mirror or mnist.MIRRORS, mnist.DownloadLimits(timeout=args.timeout)
    if not is_remote(args.out):
        out = Path(local_path(args.out, flag="--out"))
        files = mnist.download_mnist(out, mirrors=mirrors, limits=limits)
        output.out("\n".join(map(str, files)))
        return
    # Standard output has the names of the files alone.
    log.begin(to="err")
    from trainer.storage import RemotePath, upload_folder

    RemotePath(args.out, flag="--out").check_writable()
    with tempfile.TemporaryDirectory(prefix="trainer-") as work:
        files = mnist.download_mnist(Path(work), mirrors=mirrors, limits=limits)
        upload_folder(Path(work), args.out, flag="--out")
    output.out("\n".join(f"{args.out.rstrip('/')}/{file.name}" for file in files))
