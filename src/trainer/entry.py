"""What a container runs: the trainer, or a user's own script, under supervision.

This process reads what the platform says, starts one child and watches it: it passes signals on,
reaps what is left behind, and tells the platform why a run failed, even one that the kernel killed.
It imports neither TensorFlow nor NumPy.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer import failure, secrets
from trainer.errors import UserError
from trainer.flags import Parser, add_flags
from trainer.launch.signals import ending
from trainer.launch.supervise import Command, supervise
from trainer.platforms import opt_ml, sagemaker
from trainer.platforms.base import Seen
from trainer.platforms.resolve import resolve, which

USER_MISTAKE = 2


def main(argv: Sequence[str]) -> int:
    """Run a container's job to its end.

    Args:
        argv: The arguments of `trainer train`, or what the platform passes in their place.

    Returns:
        The exit code: 0; 1 to 127 for what the user must mend; 128 and up for what a new try may
        cure.
    """
    debug = "--debug" in argv
    seen = Seen(env=os.environ, argv=argv)
    report = _Report(seen)
    try:
        # As process 1 of a container, signals without a handler would be ignored.
        with ending():
            plan = make_plan(seen)
        outcome = supervise([plan.command], grace=plan.grace, prefix=False)
    except UserError as error:
        if debug:
            traceback.print_exc()
        print(f"trainer: error: {secrets.mask_text(str(error))}", file=sys.stderr, flush=True)
        report.failed(str(error))
        return USER_MISTAKE
    if outcome.code:
        report.failed(failure.reason_from(outcome, hide=secrets.known(plan.command.env)))
    return outcome.code


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to start.

    Attributes:
        command: The child.
        grace: Seconds it has from SIGTERM to SIGKILL.
    """

    command: Command
    grace: float


def make_plan(seen: Seen) -> Plan:
    """Decide what runs: a user's script where SageMaker names one, else the trainer.

    Raises:
        UserError: Something that the platform or the command line says is not as it should be.
    """
    if which(seen)[0] is sagemaker:
        # Made once: the child finds the SM_ variables in its environment.
        seen = opt_ml.view(seen)
        script = _script(seen)
        if script is not None:
            return Plan(command=script, grace=sagemaker.GRACE)
    resolved = resolve(seen, parse(seen.argv))
    return Plan(command=_trainer(seen), grace=resolved.job.grace)


def preview(seen: Seen) -> Command:
    """What `make_plan` would start, without fetching or installing anything.

    Raises:
        UserError: Something that the platform says is not as it should be.
    """
    if which(seen)[0] is sagemaker:
        seen = opt_ml.view(seen)
        program, _ = _named(seen)
        if program:
            from trainer.script_mode import NAME, arguments

            given = arguments(seen.json("SM_HPS") or {})
            folder = opt_ml.base_dir(seen) / "code"
            argv = (sys.executable, program, *given)
            return Command(argv=argv, env=seen.env, cwd=folder, name=NAME)
    return _trainer(seen)


def _trainer(seen: Seen) -> Command:
    """The trainer itself; `--dry-run` is for the process that was asked for it."""
    argv = [argument for argument in seen.argv if argument not in ("train", "--dry-run", "--json")]
    return Command(
        argv=(sys.executable, "-m", "trainer", "train", *argv), env=seen.env, name="trainer"
    )


def parse(argv: Sequence[str]) -> dict[str, Any]:
    """The flags of `trainer train` that are given, by field name."""
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser)
    return vars(parser.parse_args(argv))


def _script(seen: Seen) -> Command | None:
    """The user's script with its sources in place, or None if SageMaker names none."""
    program, sources = _named(seen)
    if program is None:
        return None
    from trainer.script_mode import prepare

    return prepare(
        program=program,
        submit_directory=sources,
        code_dir=opt_ml.base_dir(seen) / "code",
        hyperparameters=seen.json("SM_HPS") or {},
        env=seen.env,
    )


def _named(seen: Seen) -> tuple[str | None, str | None]:
    """The user's program and where its sources are, as the job names them."""
    parameters = opt_ml.framework_parameters(seen)
    found = [
        seen.env.get(name.upper()) or parameters.get(name)
        for name in ("sagemaker_program", "sagemaker_submit_directory")
    ]
    program, sources = (str(value) if value else None for value in found)
    return program, sources


class _Report:
    """Tells the platform why a run failed."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._path: Path | None = None
        if which(seen)[0] is sagemaker:
            self._path = opt_ml.base_dir(seen) / "output/failure"
            # What an earlier run left must not pass for the reason of this one.
            failure.clear(self._path)

    def failed(self, reason: str) -> None:
        """Write the failure file, if the platform reads one."""
        if self._path is not None:
            hide = secrets.known(self._seen.env)
            failure.write(self._path, reason=reason, host=self._host(), rank=None, hide=hide)

    def _host(self) -> str:
        """This host's name: the platform's, as containers often share theirs."""
        named = self._seen.env.get("SM_CURRENT_HOST")
        if named:
            return named
        try:
            resources = opt_ml.read_file(opt_ml.config_file(self._seen, "resourceconfig.json"))
            return str(resources["current_host"])
        except (UserError, KeyError, TypeError):
            return socket.gethostname()
