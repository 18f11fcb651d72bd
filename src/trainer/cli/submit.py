"""`trainer submit`: starts a training job at SageMaker, Vertex AI, Kubernetes or a local engine."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainer.cli import backend_flags
from trainer.config import Parser, UserError, add_flags as add_options, argument_type
from trainer.runtime import StoppedError, handling_stop_signals, log, output

if TYPE_CHECKING:
    from trainer.backends import Backend, Tuning, Upload
    from trainer.platforms import Submission

logger = logging.getLogger(__name__)

HELP = "start a training job in a cloud or another place"
EXAMPLES = """\
# train on two hosts of SageMaker as trainer train does here
trainer submit --to sagemaker --hosts 2 -- --train s3://bucket/mnist
# print the request, with nothing sent and no credentials needed
trainer submit --to vertex --print -- --train gs://bucket/mnist
# search for a learning rate with the place's tuning service
trainer submit --to vertex --tune learning-rate=0.001..0.1:log -- --epochs 5
"""
PASSES_ON = True
# Exit code of a command that was interrupted before the job was sent.
INTERRUPTED = 130


def add_flags(parser: Parser) -> None:
    """Add the flags that all backends share."""
    from trainer.backends import SubmitOptions

    add_options(parser, SubmitOptions)
    whole = argument_type(int)
    group = parser.add_argument_group("a search by the place's tuning service")
    group.add_argument(
        "--tune", metavar="FLAG=RANGE", nargs="+", action="extend", default=[],
        help="search: a flag of trainer train with LOW..HIGH, LOW..HIGH:log or A,B,C",
    )  # fmt: skip
    group.add_argument("--trials", type=whole, metavar="N", default=20, help="(default: 20)")
    group.add_argument("--parallel", type=whole, metavar="N", default=2,
                       help="trials at a time (default: 2)")  # fmt: skip
    group = parser.add_argument_group("what to do with the request")
    group.add_argument(
        "--print", dest="form", metavar="FORM", nargs="?", const="",
        help="print it instead, with no network: request, python, cli or yaml, as the place has "
        "them (default: the first that it has)",
    )  # fmt: skip
    group.add_argument("--wait", action="store_true", help="follow the job to its end")
    group.add_argument("--local", action="store_true",
                       help="run the same request on this machine's engine")  # fmt: skip
    parser.add_argument("arguments", metavar="-- ARGS", nargs="?", default=argparse.SUPPRESS,
                        help="the flags of trainer train")  # fmt: skip


def add_named_flags(parser: Parser, argv: Sequence[str]) -> None:
    """Add the flags of the backend that arguments name."""
    backend_flags.add_backend_flags(parser, argv, flag="--to")


def run(args: argparse.Namespace) -> int:
    """Print the request, or send it and perhaps follow the job."""
    log.begin(to="err")
    from trainer.backends import SubmitOptions, make_submission
    from trainer.config import resolve_options

    if getattr(args, "arguments", None):
        raise UserError(
            subject=args.arguments, problem="the flags of trainer train stand behind --",
            remedy=f"write trainer submit … -- {args.arguments} …",
        )  # fmt: skip
    chosen = backend_flags.choose_backend(args, flag="--to")
    common = resolve_options(
        SubmitOptions, table="", flags=vars(args), env=os.environ, team=chosen.team,
        place=chosen.backend.name,
    ).value  # fmt: skip
    backend: Backend = chosen.backend
    submission = make_submission(backend, common, train_flags(args.passed_on), os.environ)
    output.protect({**submission.env, **dict(submission.job.hparams.hp)})
    if args.form is not None:
        submission = submission.masked()
    folder = submission.output
    if args.local:
        from trainer.backends import run_here, without_bucket

        submission = without_bucket(backend, submission)
    submission, uploads = _with_uploads(backend, submission, chosen.options)
    request = request_of(backend, submission, chosen.options, tuning_of(args, submission))
    if args.form is not None:
        for upload in uploads:
            logger.info("%s", _upload_line(upload, "would be sent"))
        output.out(_form(backend, args.form)(request).rstrip("\n"))
        return 0
    if args.local:
        client = os.environ.get("DOCKER")
        with handling_stop_signals(announce=False) as stop:
            return run_here(
                backend, request, submission, uploads, folder=folder, client=client, stop=stop
            )
    return _send(args, chosen, request, uploads)


def train_flags(words: Sequence[str]) -> dict[str, Any]:
    """Return the flags of `trainer train` among the words behind `--`."""
    from trainer.cli.program import parse

    words = [*words]
    for first in ("trainer", "train"):
        if words[:1] == [first]:
            words = words[1:]
    if "--dry-run" in words or "--json" in words:
        raise UserError(
            subject="--dry-run", problem="the job itself trains nothing then",
            remedy="use --print to see the request",
        )  # fmt: skip
    return parse(words)


def _with_uploads(
    backend: Backend, submission: Submission, options: Any
) -> tuple[Submission, tuple[Upload, ...]]:
    from trainer.backends import plan_uploads

    bucket = backend.bucket(options)
    if bucket is None and submission.output and "://" in submission.output:
        bucket = submission.output
    if not bucket:
        return submission, ()
    return plan_uploads(submission, bucket.rstrip("/"), mounted=backend.mounted(options))


def _upload_line(upload: Upload, verb: str) -> str:
    size = f"{len(upload.files)} files, {upload.bytes / 1e6:.1f} MB"
    return f"{upload.flag}: {size}, {verb} to {upload.url}"


def tuning_of(args: argparse.Namespace, submission: Submission) -> Tuning | None:
    """Return the search that `--tune` describes, or None."""
    if not args.tune:
        return None
    from trainer.backends import Tuning
    from trainer.sweep import read_space

    for flag, value in (("--trials", args.trials), ("--parallel", args.parallel)):
        if value < 1:
            raise UserError(subject=f"{flag} {value}", problem="expected a number of 1 or more")
    flags: dict[str, Any] = {}
    for text in args.tune:
        name, equals, ranges = text.removeprefix("--").partition("=")
        if not (name and equals):
            raise UserError(subject=f"--tune {text}", problem="expected FLAG=RANGE")
        flags[name.replace("-", "_")] = ranges
    own = {name: value for name, value in flags.items() if name not in submission_fields()}
    flags = {name: value for name, value in flags.items() if name not in own}
    if own:
        flags["hp"] = tuple(own.items())
    return Tuning(space=read_space(flags), trials=args.trials, parallel=args.parallel)


def submission_fields() -> frozenset[str]:
    """Return the names of all options of `trainer train`."""
    from trainer.config import Hparams, Job, options_of

    return frozenset([*options_of(Job), *options_of(Hparams)])


def request_of(
    backend: Backend, submission: Submission, options: Any, tuning: Tuning | None
) -> Any:
    """Return the request that a place is sent, of a job or of a search."""
    if tuning is None:
        return backend.request(submission, options)
    if backend.tuning is None:
        raise UserError(
            subject=f"--tune with --to {backend.name}", problem="it has no tuning service",
            remedy="search with trainer sweep",
        )  # fmt: skip
    return backend.tuning(submission, options, tuning)


def _form(backend: Backend, name: str) -> Any:
    name = name or next(iter(backend.forms))
    if name not in backend.forms:
        names = ", ".join(backend.forms)
        raise UserError(subject=f"--print {name}", problem=f"{backend.name} has {names}")
    return backend.forms[name]


def _send(
    args: argparse.Namespace,
    chosen: backend_flags.Chosen,
    request: Any,
    uploads: Sequence[Upload],
) -> int:
    """Upload the inputs, start the job, and follow it if asked to."""
    from trainer.backends import Follower

    with handling_stop_signals(announce=False) as stop:
        service = chosen.backend.connect(chosen.options)
        try:
            request = service.checked(request)
            for upload in uploads:
                logger.info("%s", _upload_line(upload, "is sent"))
                upload.send(stop, options=chosen.backend.storage(chosen.options))
            if stop():
                raise StoppedError
        except StoppedError:
            logger.warning("interrupted before the job was started; uploaded files are left there")
            return INTERRUPTED
        try:
            name = service.submit(request)
        except Exception:
            if uploads:
                urls = " ".join(upload.url for upload in uploads)
                logger.warning(
                    "no job was started; what was sent stays, for the next try: %s", urls
                )
            raise
        where = backend_flags.connection_words(chosen, flag="--on")
        page = service.page(name)
        logger.info("submitted %s%s", name, f": {page}" if page else "")
        follow = shlex.join(["trainer", "jobs", "logs", name, *where, "--follow"])
        stopping, fetching = (
            shlex.join(["trainer", "jobs", verb, name, *where]) for verb in ("stop", "fetch")
        )
        if not args.wait:
            logger.info("follow: %s", follow)
            logger.info("stop: %s", stopping)
            logger.info("fetch: %s", fetching)
            output.out(name)
            return 0
        code = Follower(service, name, stop=stop, again=follow).follow()
        if code != INTERRUPTED:
            logger.info("fetch: %s", fetching)
        return code
