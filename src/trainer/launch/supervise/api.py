"""Run processes to their end: pass on what they print, and the signals this process gets.

    outcome = supervise([Command(argv=("python3", "train.py"), env=env, name="rank 0")],
                        grace=110, prefix=True)

The contract is SageMaker's and that of `docker stop` (reference/sagemaker.md §1.6): SIGTERM, a
time of grace, SIGKILL. Whichever way it ends, no process is left behind and none unreaped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from trainer.config import UserError
from trainer.launch.supervise import orphans
from trainer.launch.supervise.command import Command, Outcome
from trainer.launch.supervise.policy import Policy
from trainer.launch.supervise.signals import reading_signals
from trainer.launch.supervise.supervisor import TIMED_OUT, Supervisor
from trainer.runtime import output_writers

__all__ = ["TIMED_OUT", "Command", "Outcome", "run_step", "run_supervised"]

# What prepares a run has nothing to save yet.
_STEP_GRACE = 5.0


def run_supervised(
    commands: Sequence[Command],
    *,
    grace: float,
    prefix: bool,
    timeout: float | None = None,
    rules: Policy | None = None,
    out: int = 1,
    err: int = 2,
) -> Outcome:
    """Run processes side by side until all have ended.

    SIGTERM or SIGINT to this process is SIGTERM to theirs, and SIGKILL after `grace`, or at once
    when a second one comes. SIGHUP, SIGUSR1 and SIGUSR2 go to them as they are, but not to their
    helpers, which would die of them. When one fails the others are ended; what they leave behind
    is ended too.

    To be called from the main thread. Children that this process has already are let alone; it
    must start no others meanwhile.

    Args:
        commands: What to run.
        grace: Seconds from SIGTERM to SIGKILL when this process is told to end; at most 10 of
            them when one of the processes has failed.
        prefix: Whether to put `[name] ` before each line.
        timeout: Seconds after which they are ended; None for no limit.
        rules: What follows when one ends; by default one that fails ends the others.
        out: The descriptor that their standard output goes to.
        err: The one that their standard error goes to.

    Raises:
        UserError: A program cannot be started; the others have been ended.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with reading_signals() as ear, orphans.adopting_orphans():
        run = Supervisor(ear, output_writers(out, err), grace=grace, timeout=timeout, rules=rules)
        try:
            for command in commands:
                run.start(command, prefix=prefix)
            return run.finish()
        except UserError:
            run.kill()
            run.finish()
            raise
        except BaseException:
            run.kill()
            raise


def run_step(command: Command, *, timeout: float) -> Outcome:
    """Run one process that prepares something.

    Raises:
        SystemExit: This process was told to end meanwhile; the code is 128 + the signal's number.
    """
    outcome = run_supervised([command], grace=_STEP_GRACE, prefix=False, timeout=timeout)
    if outcome.told is not None:
        raise SystemExit(128 + outcome.told)
    return outcome
