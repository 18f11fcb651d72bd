"""What a container does: the image's entry point chooses by its arguments and environment.

docker run IMAGE                            train, as SageMaker says it
docker run IMAGE --job-dir gs://bucket/job  train, as AI Platform says it
docker run IMAGE serve                      answer requests
docker run -e AIP_MODE=PREDICTION IMAGE     the same, as Vertex AI says it
docker run IMAGE trainer doctor             the command line
docker run IMAGE python3 script.py          anything else that the image has
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.platforms import PLATFORMS
from trainer.runtime import guarded_streams, log, output

NOT_FOUND, NOT_EXECUTABLE = 127, 126

# These answer at once, so they are the command line's own: nothing is to be supervised.
_ANSWERED = {"-h", "--help", "--dry-run"}
_NAMES = ("train", "serve")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a container is to do.

    Attributes:
        what: `train`: the trainer or a user's script, supervised in this process; `trainer`: the
            command line, in this process too; `command`: a program in place of this process.
        argv: The arguments of the trainer or of its command line, or the program with its own.
    """

    what: Literal["train", "trainer", "command"]
    argv: tuple[str, ...]


def main(argv: Sequence[str]) -> int:
    """Do what a container was started for.

    Args:
        argv: The program's name, `train` and `serve` being commands of their own, and its
            arguments.

    Returns:
        The exit code, where it was not another program that took the place of this one.
    """
    with guarded_streams():
        return _main(argv)


def _main(argv: Sequence[str]) -> int:
    output.begin(os.environ, argv)
    log.begin()
    name = Path(argv[0]).name
    chosen = choose([*([name] if name in _NAMES else []), *argv[1:]], os.environ)
    if chosen.what == "train":
        from trainer.cli.entry import main as train

        # From here on it hears signals itself; once the job has ended they change its code no more.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return train(chosen.argv)
    if chosen.what == "trainer":
        from trainer.cli.command_line import main as command_line

        return command_line(chosen.argv)
    return _become(list(chosen.argv))


def choose(argv: Sequence[str], env: Mapping[str, str]) -> Choice:
    """Tell what the arguments and the environment ask for.

    Args:
        argv: The container's arguments.
        env: Its environment.
    """
    first, rest = (argv[0], tuple(argv[1:])) if argv else ("train", ())
    flags = first.startswith("-")
    # The service passes no arguments unless told to, so that the image's own is there.
    switches = [p.serving_switch for p in PLATFORMS.values() if p.serving_switch]
    asked = any(env.get(name) == value for name, value in switches)
    predicting = asked and (first == "train" or flags)
    if first == "serve" or predicting:
        return Choice(what="trainer", argv=("serve", *(argv if flags else rest)))
    if first == "trainer" and rest[:1] != ("train",):
        return Choice(what="trainer", argv=rest)
    if first in ("train", "trainer") or flags:
        flag_argv = tuple(argv) if flags else rest[1:] if first == "trainer" else rest
        if _ANSWERED.intersection(flag_argv):
            return Choice(what="trainer", argv=("train", *flag_argv))
        return Choice(what="train", argv=flag_argv)
    return Choice(what="command", argv=tuple(argv))


def _become(argv: list[str]) -> int:
    """Run a program in place of this process, which as number 1 would have to pass on signals."""
    program = shutil.which(argv[0])
    if program is None:
        output.err(
            f"trainer: error: {argv[0]}: no such command; expected train, serve, trainer, flags of "
            "the trainer, or a program that the image has"
        )
        return NOT_FOUND
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these two, and what is ignored would be so in the program.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(program, argv)
    except OSError as error:
        output.err(f"trainer: error: {program}: {error.strerror}")
        return NOT_EXECUTABLE
