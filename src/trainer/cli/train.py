"""`trainer train`: trains, evaluates and exports a model."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterator, Sequence

from trainer.cli.terminal import begin_bar
from trainer.config import Hparams, Job, Parser, add_flags as add_options, flag_of as flag_of
from trainer.runtime import host_limits, log, output

logger = logging.getLogger(__name__)

HELP = "train, evaluate and export a model"
EXAMPLES = """\
# train the MNIST CNN, and export it as runs/mnist/model/1
trainer train --train data/mnist --model-dir runs/mnist/model
# train the fast model on TFRecords until 99 % of the test images are right
trainer train --model fast --train data/tfrecord/train \\
    --test data/tfrecord/test --target-accuracy 0.99
# show every setting and where it comes from, and train nothing
trainer train --dry-run
"""


def add_flags(parser: Parser) -> None:
    """Add a flag for each option of a job."""
    add_options(parser, Hparams, Job)
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and do nothing"
    )
    parser.add_argument("--json", action="store_true", help="with --dry-run: print JSON")


def add_named_flags(parser: Parser, argv: Sequence[str]) -> None:
    """Add the hyperparameters of the module that arguments name, so that help shows them."""
    if not {"-h", "--help"} & {*argv}:
        return
    from trainer.models import own_hparams

    name = next((value for value in module_names(argv)), None)
    if name is None:
        return
    group = parser.add_argument_group(f"hyperparameters of {name}")
    for each in own_hparams(name).values():
        text = each.text.replace("%", "%%")
        group.add_argument(flag_of(each.name), metavar="VALUE", help=text)


def module_names(argv: Sequence[str]) -> Iterator[str]:
    """Yield what `--module` names."""
    for number, argument in enumerate(argv):
        flag, equals, value = argument.partition("=")
        if flag == "--module":
            yield from [value] if equals else argv[number + 1 : number + 2]


def run(args: argparse.Namespace) -> int:
    """Train in this process, or start those that the job needs."""
    if args.dry_run:
        _preview(args)
        return 0
    if args.streams:
        args.streams.never_wait()
    from trainer.cli.program import command
    from trainer.launch import (
        announcing_mistakes,
        announcing_wrong_flags,
        check_job,
        launch,
        needs_launcher,
    )
    from trainer.platforms import Environment, resolve_job

    environment = Environment(env=os.environ, argv=args.argv)
    with announcing_wrong_flags(environment, command(environment)):
        resolved = resolve_job(environment, vars(args))
    output.protect(dict(resolved.job.hparams.hp))
    log.begin(resolved.job.verbosity, form=resolved.job.log_format)
    begin_bar(resolved.job, os.environ)
    logger.debug("platform %s: %s", resolved.platform, resolved.because)
    if resolved.job.cluster.size > 1 or needs_launcher(resolved.job):
        with announcing_mistakes(resolved.job, command(environment)):
            many = needs_launcher(resolved.job)
            if many:
                check_job(resolved.job)
        if many:
            return launch(resolved.job, command(environment)).code
    host_limits.check_temporary()
    # NumPy starts threads when it is imported, and ends the process where it gets none.
    host_limits.check_threads(resolved.job.threads or len(os.sched_getaffinity(0)))
    from trainer.training import run_job

    return run_job(resolved)


def _preview(args: argparse.Namespace) -> None:
    """Print what `run` would do."""
    from trainer.cli.program import preview
    from trainer.doctor import dry_run
    from trainer.platforms import Environment, resolve_job

    # Standard output has the job alone, as JSON perhaps.
    log.begin(to="err")
    environment = Environment(env=os.environ, argv=args.argv)
    resolved = resolve_job(environment, vars(args))
    output.protect(dict(resolved.job.hparams.hp))
    commands = preview(environment, resolved.job)
    if args.json:
        output.out_json(dry_run.as_dict(resolved, commands=commands, env=os.environ))
    else:
        output.out(dry_run.describe(resolved, commands=commands, env=os.environ))
