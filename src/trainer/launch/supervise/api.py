"""Run processes to their end: pass on what they print, and the signals this process gets.

    outcome = supervise([Command(argv=("python3", "train.py"), env=env, name="rank 0")],
                        grace=110, prefix=True)

A container is stopped by SIGTERM, a time of grace and SIGKILL, as `docker stop` and SageMaker do
("How Amazon SageMaker Runs Your Training Image" in AWS's documentation); its processes are
stopped the same way. Whichever way a run ends, no process is left behind and none unreaped.
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
from trainer.launch.timeouts import DEFAULTS, Timeouts
from trainer.runtime import output_writers

__all__ = ["TIMED_OUT", "Command", "Outcome", "run_step", "run_supervised"]


def run_supervised(
    commands: Sequence[Command],
    *,
    grace: float,
    prefix: bool,
    timeout: float | None = None,
    policy: Policy | None = None,
    out: int = 1,
    err: int = 2,
    timeouts: Timeouts = DEFAULTS,
) -> Outcome:
    """Run processes side by side until all have ended.

    When SIGTERM or SIGINT comes, the processes get SIGTERM, and SIGKILL after `grace` seconds or
    with the second signal. SIGHUP, SIGUSR1 and SIGUSR2 are sent on to the processes, but not to
    their children, which they would kill. When a process fails, the others are terminated, and so
    is what they leave behind.

    To be called from the main thread. Children that this process already has are left alone; it
    must start no others meanwhile.

    Args:
        commands: What to run.
        grace: Seconds from SIGTERM to SIGKILL when this process is asked to stop; when one of
            the processes has failed, at most `timeouts.sibling_grace`.
        prefix: Whether to put `[name] ` before each line.
        timeout: Seconds after which they are terminated; None for no limit.
        policy: Decides what to do when one ends; by default one that fails ends the others.
        out: The descriptor that their standard output goes to.
        err: The one that their standard error goes to.
        timeouts: How long processes have to end, and readers of output to go on.

    Raises:
        UserError: A program cannot be started; the others have been ended.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with reading_signals() as signals, orphans.adopting_orphans():
        supervisor = Supervisor(
            signals,
            output_writers(out, err),
            grace=grace,
            timeout=timeout,
            policy=policy,
            timeouts=timeouts,
        )
        try:
            for command in commands:
                supervisor.start(command, prefix=prefix)
            return supervisor.finish()
        except UserError:
            supervisor.kill()
            supervisor.finish()
            raise
        except BaseException:
            supervisor.kill()
            raise


def run_step(command: Command, *, timeout: float, timeouts: Timeouts = DEFAULTS) -> Outcome:
    """Run one process that prepares a run, such as pip.

    Raises:
        SystemExit: A signal asked this process to stop; the code is 128 + the signal's number.
    """
    outcome = run_supervised(
        [command], grace=timeouts.step_grace, prefix=False, timeout=timeout, timeouts=timeouts
    )
    if outcome.stop_signal is not None:
        raise SystemExit(128 + outcome.stop_signal)
    return outcome
