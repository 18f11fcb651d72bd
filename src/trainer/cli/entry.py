"""The main program of a training container: runs the job and writes the platform's failure file.

This process reads the platform's variables and files, starts one child, or this host's share of
several, and supervises them: it passes signals on, reaps orphans, and reports to the platform why a
run failed, even one that the kernel killed, or that failed on another host. It imports neither
TensorFlow nor NumPy.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from trainer.cli.early_format import log_format
from trainer.cli.endings import ending_of
from trainer.cli.program import TrainerProgram, prepare
from trainer.launch import exiting_on_sigterm, failure_file
from trainer.platforms import Environment, detect_platform
from trainer.runtime import guarded_streams, log, output


def main(argv: Sequence[str]) -> int:
    """Run this host's part of a container's job to its end.

    Args:
        argv: The flags of `trainer train`, or the arguments that the platform passes.

    Returns:
        The exit code: 0; 1 to 127 for what the user must mend; 128 and up for what a new try may
        cure.
    """
    with guarded_streams() as streams:
        if streams:
            streams.never_wait()
        return _main(argv)


def _main(argv: Sequence[str]) -> int:
    debug = "--debug" in argv
    output.begin(os.environ, argv)
    log.begin(form=log_format(argv, os.environ, verb="train"))
    environment = Environment(env=os.environ, argv=argv)
    report = _FailureReport(environment)
    try:
        # The kernel ignores signals that process 1 of a container has no handler for.
        with exiting_on_sigterm():
            program = prepare(environment)
        if isinstance(program, TrainerProgram):
            report.path = program.job.failure_file
        outcome = program.run()
    except Exception as error:
        ending = ending_of(error)
        if ending is None:
            raise
        ending.print(error if debug else None)
        report.write(ending.reason)
        return ending.code
    failure = outcome.failure
    if failure:
        report.write(failure.reason, host=failure.host, process=failure.process)
    elif outcome.code:
        report.write(failure_file.reason_from(outcome))
        line = failure_file.line_from(outcome)
        if line:
            log.failure(f"trainer: failed: {line}")
    return outcome.code


class _FailureReport:
    """The file in which the platform looks for the reason of a failure.

    Attributes:
        path: The file; None where the platform reads none. It is known before there is a `Job`, as
            a mistake in a flag or variable may be the reason that there is none.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._platform, _ = detect_platform(environment)
        path = self._platform.failure_file(environment)
        self.path = str(path) if path else None
        if path:
            # The file of an earlier run in this container would pass for the reason of this one.
            failure_file.clear(path)

    def write(self, reason: str, *, host: str | None = None, process: str | None = None) -> None:
        """Write the file, if the platform reads one.

        Args:
            reason: What failed, on one line.
            host: The host where it failed first, by default this one.
            process: The process that failed there first.
        """
        if self.path is not None:
            host = host or self._platform.host_name(self._environment)
            failure_file.write(Path(self.path), reason=reason, host=host, process=process)
