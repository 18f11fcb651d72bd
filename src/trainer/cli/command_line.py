"""The `trainer` program: finds the verb, runs it, and turns what it raises into an exit code."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainer import __version__
from trainer.cli.early_format import log_format
from trainer.cli.endings import FAILURE, ending_of, ending_of_failure
from trainer.cli.verbs import GROUPS, VERBS, Verb
from trainer.config import Parser
from trainer.runtime import Streams, guarded_streams, log, output

INTERRUPTED = 130
DESCRIPTION = """\
Train one TensorFlow model unchanged on SageMaker, AI Platform, Vertex AI or a
plain machine, and serve it."""


def main(argv: Sequence[str] | None = None, *, verbs: Mapping[str, Verb] = VERBS) -> int:
    """Run one command.

    Args:
        argv: The arguments, without the program's name; by default those of the process.
        verbs: The verbs by the words that call them.

    Returns:
        The exit code: 0, 2 for a mistake of the user's, 200 for what a new try may cure, 1 for
        any other failure, and the job's own where it was stopped by a signal.
    """
    argv = sys.argv[1:] if argv is None else argv
    with guarded_streams() as streams:
        try:
            code = _main(argv, streams, verbs)
        except SystemExit as error:
            sys.stdout.flush()
            if isinstance(error.code, str):
                # A user's module called sys.exit("text"): Python would print the text unmasked.
                log.failure(error.code)
                return FAILURE
            if streams is None or streams.problem is None:
                raise
            code = error.code if isinstance(error.code, int) else 0
        sys.stdout.flush()
        if streams and streams.waits and streams.problem:
            # The output is all that was asked for, so losing it fails the command. A reader that
            # has closed its end needs no message.
            if streams.problem.errno != errno.EPIPE:
                why = streams.problem.strerror
                log.failure(f"trainer: failed: standard output: {why}")
            return code or FAILURE
        return code


def make_parser(verbs: Mapping[str, Verb] = VERBS, *, argv: Sequence[str] = ()) -> Parser:
    """Return the parser of the whole command line.

    Args:
        verbs: The verbs by the words that call them.
        argv: The arguments, for help on what they name.
    """
    raw: dict[str, Any] = {
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }
    below: dict[str, Any] = {"title": "commands", "metavar": "COMMAND", "required": True}
    hint = "\n\nmore examples, and all flags of a command: trainer COMMAND --help"
    parser = Parser(
        prog="trainer", description=DESCRIPTION, epilog=_firsts(verbs.values()) + hint, **raw
    )
    parser.add_argument("--version", action="version", version=f"trainer {__version__}")
    tables = {"": parser.add_subparsers(**below)}
    for words, verb in verbs.items():
        group, _, name = words.rpartition(" ")
        if group not in tables:
            inside = [each for key, each in verbs.items() if key.startswith(f"{group} ")]
            above = tables[""].add_parser(group, help=GROUPS[group], epilog=_firsts(inside), **raw)
            tables[group] = above.add_subparsers(**below)
        own = tables[group].add_parser(name, help=verb.HELP, epilog=_examples(_lines(verb)), **raw)
        verb.add_flags(own)
        more = getattr(verb, "add_named_flags", None)
        if more and [*argv[: len(words.split())]] == words.split():
            more(own, argv)
        if getattr(verb, "PASSES_ON", False):
            parser.passing_on.add(words)
        own.add_argument("--debug", action="store_true", help="show tracebacks")
        own.set_verb(verb.run)
    return parser


def _lines(verb: Verb) -> list[str]:
    return verb.EXAMPLES.strip("\n").splitlines()


def _firsts(verbs: Iterable[Verb]) -> str:
    return _examples([line for verb in verbs for line in _lines(verb)[:2]])


def _examples(lines: Iterable[str]) -> str:
    return "\n".join(["examples:", *(f"  {line}" for line in lines)])


def _main(argv: Sequence[str], streams: Streams | None, verbs: Mapping[str, Verb]) -> int:
    # Known before parsing, as parsing itself may fail.
    debug = "--debug" in argv
    output.begin(os.environ, argv)
    log.begin(form=log_format(argv, os.environ))
    try:
        args = make_parser(verbs, argv=argv).parse_args(argv)
        args.argv, args.streams = argv, streams
        code: int | None = args.run(args)
    except KeyboardInterrupt:
        log.failure("trainer: interrupted")
        return INTERRUPTED
    except Exception as error:
        ending = ending_of(error) or ending_of_failure(error)
        ending.print(error if debug else None)
        return ending.code
    return code or 0
