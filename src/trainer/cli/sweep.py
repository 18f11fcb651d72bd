"""`trainer sweep`: searches for good hyperparameters."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from trainer.cli import train
from trainer.config import Hparams, Job, Parser, UserError, argument_type, flag_of, options_of
from trainer.runtime import log, output

HELP = "search for good hyperparameters"
EXAMPLES = """\
# try 20 learning rates and batch sizes, two at a time
trainer sweep --out runs/sweep --trials 20 --jobs 2 --train data/mnist \\
    --learning-rate 0.0001..0.1:log --batch-size 32,64,128
# search the hyperparameters of a model of your own for the lowest loss
trainer sweep --module my/digits.py --units 16..256:log \\
    --metric loss:min --train data/mnist
# print the same search as a tuning job of SageMaker
trainer sweep --print sagemaker --learning-rate 0.0001..0.1:log
"""


def add_flags(parser: Parser) -> None:
    """Add the flags of the search, and all those of `trainer train` with several values."""
    whole, number = argument_type(int), argument_type(float)
    add = parser.add_argument
    add("--out", metavar="DIR", default="sweep", help="folder of the study (default: sweep)")
    add("--trials", type=whole, metavar="N", default=20, help="trials in all (default: 20)")
    add("--jobs", type=whole, metavar="N", default=1, help="trials at a time (default: 1)")
    add("--timeout", type=number, metavar="SECONDS", help="end after this time (default: none)")
    add("--sampler-seed", type=whole, metavar="N", default=0, help="(default: 0)")
    add("--pruner", choices=("median", "asha", "none"), default="median",
        help="which trials to end early by --metric (default: median)")  # fmt: skip
    add("--print", choices=("sagemaker", "vertex"), dest="service",
        help="print the definition of a tuning job instead")  # fmt: skip
    group = parser.add_argument_group(
        "flags of trainer train",
        "one value, or those to search: LOW..HIGH, LOW..HIGH:log, LOW..HIGH:STEP, or A,B,C",
    )
    for part in (Hparams, Job):
        for name, option in options_of(part).items():
            many = {"nargs": "+", "action": "extend"} if option.many else {}
            read = _pair if name == "hp" else str
            flags = (flag_of(name), *("--" + alias for alias in option.aliases))
            group.add_argument(
                *flags, dest=name, default=argparse.SUPPRESS, help=argparse.SUPPRESS, type=read,
                **many,  # type: ignore[arg-type]
            )  # fmt: skip


def add_named_flags(parser: Parser, argv: Sequence[str]) -> None:
    """Add the hyperparameters of the module that arguments name, so that help shows them."""
    train.add_named_flags(parser, argv)


def run(args: argparse.Namespace) -> int:
    """Search, or print the definition of the search."""
    # Standard output has the table or the definition alone.
    log.begin(to="err")
    for flag, value in (("--trials", args.trials), ("--jobs", args.jobs)):
        if value < 1:
            raise UserError(subject=f"{flag} {value}", problem="expected a number of 1 or more")
    if args.timeout is not None and not args.timeout > 0:
        raise UserError(subject=f"--timeout {args.timeout:g}", problem="expected seconds above 0")
    if not 0 <= args.sampler_seed < 2**31:
        subject = f"--sampler-seed {args.sampler_seed}"
        raise UserError(subject=subject, problem="expected a number of 0 to 2147483647")
    if not args.out:
        raise UserError(subject="--out", problem="expected the name of a folder")
    from trainer.sweep import (
        Search,
        read_space,
        run_search,
        sagemaker_definition,
        vertex_definition,
    )

    space = read_space(vars(args))
    if args.service:
        make = sagemaker_definition if args.service == "sagemaker" else vertex_definition
        output.out_json(make(space, trials=args.trials, jobs=args.jobs))
        return 0
    search = Search(
        space=space, out=Path(args.out), trials=args.trials, jobs=args.jobs, env=os.environ,
        timeout=args.timeout, seed=args.sampler_seed, pruner=args.pruner,
    )  # fmt: skip
    return run_search(search)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    return name, value
