"""The program that a container runs: the trainer, or a user's own script, as the platform asks."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trainer.cli.terminal import begin_bar
from trainer.config import Hparams, Job, Parser, add_flags
from trainer.launch import (
    Command,
    Outcome,
    announcing_mistakes,
    announcing_wrong_flags,
    check_job,
    launch,
    needs_launcher,
    preview_commands as preview_launch,
    run_supervised,
)
from trainer.platforms import (
    Environment,
    Platform,
    detect_platform,
    missing_gpu_warning,
    resolve_job,
)
from trainer.runtime import log, output

logger = logging.getLogger(__name__)


class PreparedProgram(Protocol):
    """A program that is ready to run."""

    @property
    def command(self) -> Command:
        """The command of the program itself."""

    def run(self) -> Outcome:
        """Run this host's part to its end, from the main thread, and return how it ended."""


class Program(Protocol):
    """A user's program that a container runs in place of the trainer.

    The function that `Platform.program` names takes the platform's environment and returns one of
    these, or None where the trainer itself is to run.
    """

    def prepare(self, flags: Mapping[str, Any]) -> PreparedProgram:
        """Fetch and install what the program needs; `flags` are those of `trainer train`."""

    def preview(self, flags: Mapping[str, Any]) -> list[Command]:
        """Return the processes that would be started, without fetching or installing anything."""


@dataclass(frozen=True, kw_only=True)
class TrainerProgram:
    """The trainer itself, as a program that is ready to run.

    Attributes:
        environment: The environment and files, completed by the platform.
        command: The command of one process.
        job: The job that was resolved from them.
        is_launched: True if the job needs several processes, of which `command` is one.
    """

    environment: Environment
    command: Command
    job: Job
    is_launched: bool

    def run(self) -> Outcome:
        """Run this host's part of the job to its end."""
        warning = missing_gpu_warning(self.environment)
        if warning and self.job.device == "auto":
            logger.warning("%s", warning)
        if self.is_launched:
            return launch(self.job, self.command)
        return run_supervised([self.command], grace=self.job.grace, prefix=False)


def prepare(environment: Environment) -> PreparedProgram:
    """Prepare a user's program where the platform names one, else the trainer.

    Raises:
        UserError: A flag, or a variable or file of the platform, is malformed.
    """
    # Complete it once, here: the child inherits the variables.
    platform, environment = _completed(environment)
    output.protect(environment.env)
    program = _find_program(platform, environment)
    if program is not None:
        logger.debug("platform %s: runs a user's program", platform.name)
        return program.prepare(parse(_flags(environment.argv)))
    base = command(environment)
    with announcing_wrong_flags(environment, base):
        resolved = resolve_job(environment, parse(environment.argv))
    job = resolved.job
    output.protect(dict(job.hparams.hp))
    log.begin(job.verbosity, form=job.log_format)
    begin_bar(job, environment.env)
    logger.debug("platform %s: %s", resolved.platform, resolved.because)
    with announcing_mistakes(job, base):
        many = needs_launcher(job)
        if many:
            check_job(job)
    logger.debug("trains in %s", "processes of the launcher" if many else "one process")
    return TrainerProgram(environment=environment, command=base, job=job, is_launched=many)


def preview(environment: Environment, job: Job) -> list[Command]:
    """Return the processes that would be started on this host; nothing is fetched or installed.

    Args:
        environment: The environment and files.
        job: The job that was resolved from them.

    Raises:
        UserError: A variable or file of the platform is malformed.
    """
    platform, environment = _completed(environment)
    program = _find_program(platform, environment)
    if program is not None:
        return program.preview(parse(_flags(environment.argv)))
    one = command(environment)
    return preview_launch(job, one) if needs_launcher(job) else [one]


def command(environment: Environment) -> Command:
    """Return the command of the trainer itself, without `--dry-run`, which this process obeys."""
    return Command(
        argv=(sys.executable, "-m", "trainer", "train", *_flags(environment.argv)),
        env=environment.env,
        name="trainer",
    )


def _flags(argv: Sequence[str]) -> list[str]:
    """Return arguments without `--dry-run`, and without the verb where they begin with it."""
    flags = argv[1:] if list(argv[:1]) == ["train"] else argv
    return [flag for flag in flags if flag not in ("--dry-run", "--json")]


def parse(argv: Sequence[str]) -> dict[str, Any]:
    """Return the flags of `trainer train` that are given, by field name."""
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser, Hparams, Job)
    # `main` reads this one, as do the processes that it starts.
    parser.add_argument("--debug", action="store_true")
    return vars(parser.parse_args(argv))


def _completed(environment: Environment) -> tuple[Platform, Environment]:
    platform, _ = detect_platform(environment)
    return platform, platform.complete(environment)


def _find_program(platform: Platform, environment: Environment) -> Program | None:
    if platform.program is None:
        return None
    module, _, function = platform.program.partition(":")
    program: Program | None = getattr(importlib.import_module(module), function)(environment)
    return program
