"""Run mpirun as SageMaker's training toolkit does, on the first host of a job.

    python -I -m trainer.sagemaker.mpi.mpirun --hosts algo-1,algo-2 … -- python -m mpi4py train.py

The command is that of the toolkit's `MasterRunner` (`sagemaker_training/mpi.py`), and so are its
options and their defaults. What the runner does around it is left out: waiting for the other hosts
without end, trusting any of them, sleeping half a minute at the end. A process of its own, as the
toolkit changes the environment when it is imported.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence

from sagemaker_training import environment, errors, mpi, process

from trainer.runtime import log, masked_argv, output
from trainer.sagemaker.mpi.host import AGENT, RESOURCES

logger = logging.getLogger(__name__)

# Seconds until the other hosts' ssh servers, which have just been started, must be reachable, and
# for each attempt.
_REACHED = 60.0
_ATTEMPT = 15.0


class _Script(process.ProcessRunner):
    """Runs a command that is complete already."""

    def _create_command(self) -> list[str]:
        return [self._user_entry_point, *self._args]


class Mpirun(mpi.MasterRunner, _Script):
    """The toolkit's runner of the first host, with the script's command as it is."""

    def _create_command(self) -> list[str]:
        command: list[str] = super()._create_command()
        if not RESOURCES.exists():
            at = next(i for i, part in enumerate(command) if part.startswith("LD_PRELOAD="))
            del command[at - 1 : at + 1]
        return command

    def _setup(self) -> None:
        """Wait until every other host can be reached."""
        others = [host for host in self._hosts if host != self._master_hostname]
        if others:
            agent = shlex.split(os.environ[AGENT])
            with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
                list(pool.map(lambda host: wait_until_reachable(agent, host), others))

    def run(self, wait: bool = True, capture_error: bool = False) -> object:
        """Run mpirun to its end.

        Raises:
            ExecuteUserScriptError: It failed.
        """
        self._setup()
        command = self._create_command()
        script = 1 + len(self._args)
        logger.info("%s", shlex.join(masked_argv(command[:-script])))
        return process.check_error(
            command,
            [],
            self._processes_per_host,
            cwd=environment.code_dir,
            # Lines are passed on unchanged, and not searched for names of errors.
            capture_error=False,
        )


def wait_until_reachable(agent: Sequence[str], host: str, *, within: float = _REACHED) -> None:
    """Wait until a host can be reached by ssh.

    Args:
        agent: The command to which a host and what it shall run are added.
        host: Its name.
        within: Seconds.

    Raises:
        OSError: It cannot.
    """
    until = time.monotonic() + within
    while True:
        problem = "no answer"
        try:
            ran = subprocess.run(
                [*agent, host, "true"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_ATTEMPT,
                check=False,
            )
            if ran.returncode == 0:
                return
            problem = (ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1]
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() >= until:
            raise OSError(f"host {host}: no ssh within {within:g} s: {problem}")
        time.sleep(0.2)


def main(argv: Sequence[str]) -> int:
    """Run mpirun as the arguments say.

    Args:
        argv: See `_parser`.

    Returns:
        mpirun's exit code.
    """
    output.begin(os.environ, argv)
    log.begin(to="err")
    given = _parser().parse_args(argv)
    hosts = given.hosts.split(",")
    runner = Mpirun(
        given.command[0],
        given.command[1:],
        # No variables: each host has its own already, such as SM_CURRENT_HOST.
        {},
        given.processes_per_host,
        hosts[0],
        hosts,
        given.options,
        given.interface,
        num_processes=given.num_processes,
        instance_type=given.instance_type,
    )
    if given.show:
        output.out(shlex.join(masked_argv(runner._create_command())))
        return 0
    try:
        runner.run()
    except errors.ExecuteUserScriptError as error:
        code = int(error.return_code)
        return code if code > 0 else 128 - code
    except OSError as error:
        logger.error("error: %s", error)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trainer.sagemaker.mpi.mpirun", allow_abbrev=False)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--hosts", required=True)
    parser.add_argument("--interface", required=True)
    parser.add_argument("--processes-per-host", type=int, required=True)
    parser.add_argument("--num-processes", type=int)
    parser.add_argument("--options", default="")
    parser.add_argument("--instance-type", default="")
    parser.add_argument("command", nargs="+")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
