"""`trainer migrate`: prints the commands that take the place of a script with an Estimator."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config import Parser, ResolvedOptions, TeamSettings, UserError, resolve_options
from trainer.runtime import log, output

if TYPE_CHECKING:
    from trainer.platforms import Submission

HELP = "turn a script that uses a cloud's SDK into commands"
EXAMPLES = """\
# print the commands that do what a notebook does, and what they leave out
trainer migrate notebook.ipynb
# move its jobs to Vertex AI, and its data to a bucket there
trainer migrate train.py --to vertex --bucket gs://bucket
"""


def add_flags(parser: Parser) -> None:
    """Add the file, and where its jobs are to run."""
    parser.description = (
        "Read a Python script, a notebook or a shell script that starts training jobs, searches "
        "or endpoints by an SDK of SageMaker or Vertex AI, by boto3, gcloud or the AWS CLI, "
        "without running or importing it. The output is a shell script; its comments say what the "
        "commands do not carry over."
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a Python script, a notebook or a shell script; - reads from standard input",
    )
    parser.add_argument(
        "--to", metavar="PLACE",
        help="where its jobs are to run: sagemaker, vertex, kubernetes, docker or compose "
        "(default: the one that the file is written for)",
    )  # fmt: skip
    parser.add_argument(
        "--bucket", metavar="URL",
        help="the bucket that takes the place of those in S3, such as gs://BUCKET (default: the "
        "same, or with --to vertex a variable of the shell)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Print the commands."""
    log.begin(to="err")
    from trainer.migration import migrate, script_lines

    if "://" in args.file:
        raise UserError(
            subject=args.file, problem="is no file of this machine", remedy="download it first"
        )
    file = Path("/dev/stdin" if args.file == "-" else args.file)
    found = migrate(file, to=args.to, bucket=args.bucket)
    output.protect(dict(found.secrets))
    output.out("\n".join(script_lines(found, refusal)).rstrip("\n"))
    return 0


def refusal(argv: Sequence[str]) -> str | None:
    """Return why the program would refuse arguments, or None if it would not.

    Nothing is read, sent or asked: a job's data and module count as there.
    """
    from trainer.cli.command_line import make_parser

    try:
        args = make_parser(argv=argv).parse_args(argv)
        check = {"submit": _check_submit, "deploy": _check_deploy}.get(argv[0])
        if check:
            check(args)
    except UserError as error:
        return str(error)
    return None


def _check_submit(args: argparse.Namespace) -> None:
    from trainer.backends import BACKENDS, SubmitOptions, make_submission
    from trainer.cli import submit

    backend = BACKENDS[args.to]
    common: SubmitOptions = _resolved(SubmitOptions, "", args)
    own = _resolved(backend.options, args.to, args)
    submission = make_submission(backend, common, submit.train_flags(args.passed_on), {})
    if args.local:
        # Of the results of such a job, none is lost with a machine.
        return
    submission = submission.with_inputs(_elsewhere(submission, args.to))
    submit.request_of(backend, submission, own, submit.tuning_of(args, submission))


def _elsewhere(submission: Submission, place: str) -> dict[str, Any]:
    """Return addresses in a store for the inputs of this machine, which would be uploaded."""
    from trainer.models import is_path
    from trainer.platforms import INPUTS

    store = "gs" if place == "vertex" else "s3"
    found: dict[str, Any] = {}
    if place in ("docker", "compose") and "module" in submission.given:
        # They look into the file: any that is there will do.
        found["module"] = __file__
    for name in INPUTS:
        value = getattr(submission.job, name)
        local = name in submission.given and value and "://" not in str(value)
        if local and name not in found and not (name == "module" and not is_path(value)):
            url = f"{store}://bucket/{name}"
            found[name] = (url,) if isinstance(value, tuple) else f"{url}/code.py"
    return found


def _check_deploy(args: argparse.Namespace) -> None:
    from trainer.endpoints import DeployOptions

    _resolved(DeployOptions, "deploy", args)


def _resolved(kind: type, table: str, args: argparse.Namespace) -> Any:
    """Return options from flags alone, whatever is set where this program runs."""
    found: ResolvedOptions[Any] = resolve_options(
        kind, table=table, flags=vars(args), env={}, team=TeamSettings()
    )
    return found.value
