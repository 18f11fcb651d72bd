"""`trainer serve`: answers requests over HTTP."""

from __future__ import annotations

import argparse
import dataclasses
import os

from trainer.config import Parser, UserError, add_flags as add_options
from trainer.runtime import host_limits, install_command, log
from trainer.serving import settings

HELP = "answer requests over HTTP"
EXAMPLES = """\
# serve the newest versions of the exported model at port 8080
trainer serve --model-dir runs/mnist/model
# serve one request at a time, and leave out the line of JSON for each
trainer serve --model-dir runs/mnist/model --port 8501 --max-batch 1 \\
    --no-access-log
"""


def add_flags(parser: Parser) -> None:
    """Add a flag for each option of the server."""
    add_options(parser, settings.Settings)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    if args.streams:
        args.streams.never_wait()
    # Standard output is for the access log alone.
    verbosity = "DEBUG" if args.debug else "INFO"
    form = vars(args).get("log_format")
    log.begin(verbosity, to="err", prefix="trainer: ", form=form)
    requested = settings.from_flags(vars(args), env=os.environ)
    host_limits.check_temporary()
    host_limits.check_threads(requested.threads or len(os.sched_getaffinity(0)))
    try:
        from trainer.serving import serve
    except ModuleNotFoundError as error:
        raise UserError(
            subject="serve",
            problem=f"needs {error.name}: {install_command('serve')}",
        ) from None
    from trainer.platforms import Environment, gpu_evidence, gpus_are_hidden

    environment = Environment(env=os.environ)
    expected = None if gpus_are_hidden(environment) else gpu_evidence(environment)
    return serve(dataclasses.replace(requested, gpu_expected=expected))
