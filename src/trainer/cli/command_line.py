"""The command line: `trainer train|doctor|package`, `trainer data create|mnist`.

    trainer data mnist --out data/mnist
    trainer train --train data/mnist --model-dir runs/mnist/model
    trainer data create --source data/mnist --out data/tfrecord --shards 4
    trainer train --model fast --train data/tfrecord --target-accuracy 0.99
    trainer train --dry-run; trainer doctor
    trainer package --source runs/mnist/model --out model.tar.gz

TensorFlow is imported by the verbs that need it, after everything that can be checked without.
"""

from __future__ import annotations

import argparse
import dataclasses
import errno
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from trainer import __version__
from trainer.config import (
    PEER,
    RETRY,
    Parser,
    PeerError,
    RetryableError,
    UserError,
    add_flags,
    reader,
)
from trainer.packaging import add_flags as add_package_flags
from trainer.runtime import Streams, guarded, host_limits, install, output
from trainer.serving import settings
from trainer.storage import is_remote, local_path

USER_MISTAKE = 2
FAILURE = 1
_WHERE = ("Graph execution error:", "Detected at node", "<stack traces unavailable>")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments, without the program's name; by default those of the process.

    Returns:
        The exit code: 0, 2 for a mistake of the user's, 200 for what a new try may cure, 1 for
        any other failure, and the job's own where it was told to stop.
    """
    argv = sys.argv[1:] if argv is None else argv
    with guarded() as streams:
        try:
            code = _main(argv, streams)
        except SystemExit as error:
            sys.stdout.flush()
            if isinstance(error.code, str):
                # A module's own words, which Python would print as they are.
                output.err(error.code)
                return FAILURE
            if streams is None or streams.problem is None:
                raise
            code = error.code if isinstance(error.code, int) else 0
        sys.stdout.flush()
        if streams and streams.waits and streams.problem:
            # What was to be printed is all that was asked for. Whoever has gone is told nothing.
            if streams.problem.errno != errno.EPIPE:
                why = streams.problem.strerror
                output.err(f"trainer: failed: standard output: {why}")
            return code or FAILURE
        return code


def _main(argv: Sequence[str], streams: Streams | None) -> int:
    # Known before parsing, as parsing itself may fail.
    debug = "--debug" in argv
    output.begin(os.environ, argv)
    try:
        args = make_parser().parse_args(argv)
        args.argv = argv
        if streams and args.run in (_train, _serve) and not getattr(args, "dry_run", False):
            streams.never_wait()
        code = args.run(args)
    except KeyboardInterrupt:
        output.err("trainer: interrupted")
        return 130
    except Exception as error:
        if debug:
            output.err_traceback(error)
        return _tell(error)
    return code or 0


def _tell(error: Exception) -> int:
    """Print why the command failed; return the exit code."""
    if isinstance(error, UserError):
        output.err(f"trainer: error: {error}")
        return USER_MISTAKE
    if isinstance(error, RetryableError):
        output.err(f"trainer: failed: {error}; a new try may cure it")
        return PEER if isinstance(error, PeerError) else RETRY
    if mistake := host_limits.mistake_of(error):
        output.err(f"trainer: error: {mistake}")
        return USER_MISTAKE
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename2 or error.filename}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text += "; make room, or name a folder on a larger disk"
    else:
        # TensorFlow puts where it happened, for each node anew, before what happened.
        lines = str(error).splitlines()
        words = "\n".join(line for line in lines if not line.strip().startswith(_WHERE)) or error
        text = f"{type(error).__name__}: {words}"
    # Before it is cut: half a secret is not found.
    text = output.clean(" ".join(text.split()))[:500]
    output.err(f"trainer: failed: {text} (--debug shows where)")
    return FAILURE


def make_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="trainer",
        description=(__doc__ or "").partition("\n\nTensorFlow")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"trainer {__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    train = verbs.add_parser("train", help="train, evaluate and export a model", allow_abbrev=False)
    add_flags(train)
    train.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and do nothing"
    )
    train.set_verb(_train)

    doctor = verbs.add_parser(
        "doctor",
        help="say what this container sees, and what is wrong with it",
        allow_abbrev=False,
    )
    add_flags(doctor)
    doctor.set_verb(_doctor)

    serve = verbs.add_parser("serve", help="answer requests over HTTP", allow_abbrev=False)
    settings.add_flags(serve)
    serve.set_verb(_serve)

    package = verbs.add_parser(
        "package",
        help="make the model.tar.gz of a model, or tell what one holds",
        allow_abbrev=False,
    )
    add_package_flags(package)
    package.set_verb(_package)

    data = verbs.add_parser("data", help="get and convert data", allow_abbrev=False)
    kinds = data.add_subparsers(title="commands", metavar="COMMAND", required=True)
    create = kinds.add_parser("create", help="write TFRecords", allow_abbrev=False)
    create.add_argument(
        "--source",
        metavar="DIR",
        help="folder of both splits: IDX (gzipped or not), npy or TFRecord; s3:// and gs:// too "
        "(default: synthetic digits)",
    )
    create.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="writes DIR/train, DIR/test; s3:// and gs:// too",
    )
    create.add_argument("--shards", metavar="N", type=reader(int), default=1, help="files a split")
    create.set_verb(_create)

    mnist = kinds.add_parser("mnist", help="download the original MNIST", allow_abbrev=False)
    mnist.add_argument(
        "--out", metavar="DIR", required=True, help="folder for the four files; s3:// and gs:// too"
    )
    mnist.add_argument(
        "--mirror", metavar="URL", action="append", help="look here instead (may be repeated)"
    )
    mnist.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=reader(float),
        default=30.0,
        help="for a mirror to answer",
    )
    mnist.set_verb(_mnist)

    for verb in (train, doctor):
        verb.add_argument("--json", action="store_true", help="with --dry-run: print JSON")
    for verb in (train, doctor, serve, package, create, mnist):
        verb.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def _train(args: argparse.Namespace) -> int:
    from trainer.platforms import Environment, resolve_job

    environment = Environment(env=os.environ, argv=args.argv)
    if args.dry_run:
        resolved = resolve_job(environment, vars(args))
    else:
        from trainer.cli.entry import command
        from trainer.launch import announcing_flags

        with announcing_flags(environment, command(environment)):
            resolved = resolve_job(environment, vars(args))
    output.protect(dict(resolved.job.hparams.hp))
    if args.dry_run:
        from trainer.cli.entry import preview
        from trainer.doctor import dry_run

        commands = preview(environment, resolved.job)
        if args.json:
            told = dry_run.as_dict(resolved, commands=commands, env=os.environ)
            output.out_json(told)
        else:
            output.out(dry_run.describe(resolved, commands=commands, env=os.environ))
        return 0
    from trainer.launch import needs_launcher

    if resolved.job.cluster.size > 1 or needs_launcher(resolved.job):
        from trainer.launch import announcing, check, launch

        with announcing(resolved.job, command(environment)):
            many = needs_launcher(resolved.job)
            if many:
                check(resolved.job)
        if many:
            return launch(resolved.job, command(environment)).code
    host_limits.check_temporary()
    # NumPy starts threads when it is imported, and ends the process where it gets none.
    host_limits.check_threads(resolved.job.threads or len(os.sched_getaffinity(0)))
    from trainer.training import run_job

    return run_job(resolved)


def _doctor(args: argparse.Namespace) -> int:
    from trainer.doctor import examine
    from trainer.platforms import Environment

    report = examine(Environment(env=os.environ, argv=args.argv), vars(args))
    if args.json:
        output.out_json(report.as_dict())
    else:
        output.out("\n".join(report.lines()))
    return 0 if report.ok else FAILURE


def _serve(args: argparse.Namespace) -> int:
    told = settings.from_flags(vars(args), env=os.environ)
    host_limits.check_temporary()
    host_limits.check_threads(told.threads or len(os.sched_getaffinity(0)))
    try:
        from trainer.serving import serve
    except ModuleNotFoundError as error:
        raise UserError(
            subject="serve",
            problem=f"needs {error.name}: {install('serve')}",
        ) from None
    from trainer.platforms import Environment, find_gpu, hidden_gpus

    environment = Environment(env=os.environ)
    expected = None if hidden_gpus(environment) else find_gpu(environment)
    return serve(dataclasses.replace(told, gpu_expected=expected))


def _package(args: argparse.Namespace) -> None:
    from trainer.packaging import package

    package.run(args)


def _create(args: argparse.Namespace) -> None:
    if args.shards < 1:
        raise UserError(
            subject=f"--shards {args.shards}",
            problem="expected a number of 1 or more",
        )
    from trainer.data import create_anywhere

    written = create_anywhere(source=args.source, out=args.out, shards=args.shards, tell=output.err)
    output.out("\n".join(written))


def _mnist(args: argparse.Namespace) -> None:
    if not args.timeout > 0:
        raise UserError(
            subject=f"--timeout {args.timeout:g}",
            problem="expected a number of seconds above 0",
        )
    from trainer.data import download as mnist

    mirrors = args.mirror or mnist.MIRRORS
    if not is_remote(args.out):
        out = Path(local_path(args.out, flag="--out"))
        files = mnist.download(out, mirrors=mirrors, timeout=args.timeout)
        output.out("\n".join(map(str, files)))
        return
    from trainer.runtime import Patience
    from trainer.storage import Place, push

    Place(args.out, flag="--out", patience=Patience(tell=output.err)).check_writable()
    with tempfile.TemporaryDirectory(prefix="trainer-") as work:
        files = mnist.download(Path(work), mirrors=mirrors, timeout=args.timeout)
        # Standard output has the names of the files alone.
        push(Path(work), args.out, flag="--out", tell=output.err)
    output.out("\n".join(f"{args.out.rstrip('/')}/{file.name}" for file in files))
