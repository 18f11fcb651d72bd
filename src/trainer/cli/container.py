"""The image's entry point, which chooses by arguments and environment what a container does.

docker run IMAGE                            train, as SageMaker starts it
docker run IMAGE --job-dir gs://bucket/job  train, as AI Platform starts it
docker run IMAGE serve                      answer requests
docker run -e AIP_MODE=PREDICTION IMAGE     the same, as Vertex AI starts it
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

# With these flags nothing is started that would have to be supervised.
_PRINTING = {"-h", "--help", "--dry-run"}
_PROGRAM_NAMES = ("train", "serve")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The task of a container.

    Attributes:
        program: `train`: run the trainer or a user's script under this process's supervision;
            `trainer`: run the command line in this process; `command`: run another program in place
            of this process.
        argv: The arguments of the trainer or of its command line, or the program with its own.
    """

    program: Literal["train", "trainer", "command"]
    argv: tuple[str, ...]


def main(argv: Sequence[str]) -> int:
    """Run what a container was started for.

    Args:
        argv: The name that this program was called by, which chooses if it is `train` or `serve`,
            and the arguments.

    Returns:
        The exit code, unless another program took the place of this one.
    """
    with guarded_streams():
        return _main(argv)


def _main(argv: Sequence[str]) -> int:
    output.begin(os.environ, argv)
    log.begin()
    name = Path(argv[0]).name
    chosen = choose([*([name] if name in _PROGRAM_NAMES else []), *argv[1:]], os.environ)
    if chosen.program == "train":
        from trainer.cli.entry import main as train

        # `train` has its own handlers. With the entry point's, a signal that comes after the job
        # has ended would replace its exit code.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return train(chosen.argv)
    if chosen.program == "trainer":
        from trainer.cli.command_line import main as command_line

        return command_line(chosen.argv)
    return _become(list(chosen.argv))


def choose(argv: Sequence[str], env: Mapping[str, str]) -> Choice:
    """Return what the arguments and the environment ask for.

    Args:
        argv: The container's arguments.
        env: Its environment.
    """
    first, rest = (argv[0], tuple(argv[1:])) if argv else ("train", ())
    flags = first.startswith("-")
    # Prediction services pass no arguments unless the model names some, so that the image's
    # default, `train`, is there.
    switches = [p.serving_switch for p in PLATFORMS.values() if p.serving_switch]
    serves = any(env.get(name) == value for name, value in switches)
    predicting = serves and (first == "train" or flags)
    if first == "serve" or predicting:
        return Choice(program="trainer", argv=("serve", *(argv if flags else rest)))
    if first == "trainer" and rest[:1] != ("train",):
        return Choice(program="trainer", argv=rest)
    if first in ("train", "trainer") or flags:
        flag_argv = tuple(argv) if flags else rest[1:] if first == "trainer" else rest
        if _PRINTING.intersection(flag_argv):
            return Choice(program="trainer", argv=("train", *flag_argv))
        return Choice(program="train", argv=flag_argv)
    return Choice(program="command", argv=tuple(argv))


def _become(argv: list[str]) -> int:
    """Replace this process by a program, so that the container's signals reach it."""
    program = shutil.which(argv[0])
    if program is None:
        output.err(
            f"trainer: error: {argv[0]}: no such command; expected train, serve, trainer, flags of "
            "the trainer, or a program that the image has"
        )
        return NOT_FOUND
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these two signals, and a program inherits what is ignored.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(program, argv)
    except OSError as error:
        output.err(f"trainer: error: {program}: {error.strerror}")
        return NOT_EXECUTABLE
