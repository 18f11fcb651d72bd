"""A user's script under mpirun: what SageMaker's `sagemaker_mpi_enabled` means in script mode.

The hyperparameters are those of the training toolkit (reference/sagemaker.md §2.3). Keys for ssh
are made when a container starts, where there are several hosts at all.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.config import Cluster, Job, UserError
from trainer.distribution import strategies_where
from trainer.launch import Command, Outcome, plan, run_host
from trainer.platforms import (
    Environment,
    coerce_value,
    framework_parameters,
    hyperparameters,
    read_secret,
    sagemaker,
)
from trainer.sagemaker.mpi import host as mpi, ssh
from trainer.sagemaker.mpi.host import MpiHost, MpiSettings

ENABLED = "sagemaker_mpi_enabled"
TOTAL = "sagemaker_mpi_num_processes"
OPTIONS = "sagemaker_mpi_custom_mpi_options"
_PROGRAMS = {
    "mpirun": "openmpi-bin",
    "orted": "openmpi-bin",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
_LOOK = "import importlib.util, sys; sys.exit(importlib.util.find_spec('mpi4py') is None)"
_SECONDS = 60.0


def read(environment: Environment, given: Mapping[str, Any]) -> MpiSettings | None:
    """What the job says of mpirun; None if this host's script runs without.

    Args:
        environment: What the platform says, with the SM_ variables.
        given: Flags by field name: `port` and `start_timeout` count here too.

    Raises:
        UserError: A hyperparameter or variable is malformed.
    """
    parameters = framework_parameters(environment)
    if str(parameters.get(ENABLED)).lower() != "true":
        return None
    cluster = sagemaker.read_cluster(environment)
    if environment.env.get("SM_HOSTS") and not cluster.chief:
        # It is in none of the instance groups that mpirun is for.
        return None
    known = {name: given[name] for name in ("port", "start_timeout") if name in given}
    job = Job(
        platform=sagemaker.PLATFORM.name,
        cluster=cluster if cluster.chief else Cluster(),
        distribution=strategies_where(lambda strategy: strategy.coordinated)[0],
        grace=sagemaker.GRACE,
        secret=read_secret(environment.env, hyperparameters(environment))[0],
        **known,
    )
    mpi.check_names(job)
    return MpiSettings(
        job=job,
        processes_per_host=_number(parameters, sagemaker.PROCESSES) or _devices(environment),
        num_processes=_number(parameters, TOTAL),
        options=str(parameters.get(OPTIONS) or ""),
        instance_type=environment.env.get("SM_CURRENT_INSTANCE_TYPE", ""),
    )


def check(settings: MpiSettings) -> None:
    """Look whether all programs are there, before anything is fetched or started.

    On all hosts for what any of them needs, so that none waits for one that cannot come.

    Raises:
        UserError: One is missing.
    """
    several = settings.job.cluster.size > 1
    for program, package in _PROGRAMS.items():
        if (several or program == "mpirun") and shutil.which(program) is None:
            raise UserError(
                subject=ENABLED,
                problem=f"{program} is not on the PATH",
                remedy=f"install {package}",
            )
    if several:
        ssh.check_server()


def launch(settings: MpiSettings, script: Command) -> Outcome:
    """Run this host's part to its end.

    To be called from the main thread.

    Args:
        settings: What `read` found.
        script: The script, with its sources in place.

    Returns:
        How it ended, with the first cause of a failure, on whichever host that was.

    Raises:
        UserError: mpi4py is missing, keys cannot be made, or the hosts cannot meet.
    """
    if mpi.is_python(script):
        _check_mpi4py(script)
    try:
        private = tempfile.TemporaryDirectory(prefix="trainer-mpi-")
    except OSError as error:
        raise UserError(
            subject=ENABLED,
            problem=f"no folder for temporary files: {error.strerror}",
            remedy="docker run --tmpfs /tmp",
        ) from None
    with private as folder:
        host = MpiHost(settings, script, Path(folder))
        host.make_keys()
        return run_host(host)


def preview(settings: MpiSettings, script: Command) -> Command:
    """What would be started on this host; mpirun's own command is not put together for it."""
    hosts = [member.host for member in plan.members(settings.job)]
    if settings.job.cluster.role != "chief":
        argv: tuple[str, ...] = (str(ssh.SSHD), "-D")
    else:
        interface = settings.job.cluster.interface or "lo"
        names = hosts if len(hosts) > 1 else ["localhost"]
        argv = mpi.mpirun(settings, script, names, interface)
    return Command(argv=argv, env=script.env, cwd=script.cwd, name=script.name)


def _check_mpi4py(script: Command) -> None:
    # With the script's own interpreter and folders: its requirements may have brought it.
    argv = [script.argv[0], "-c", _LOOK]
    ran = subprocess.run(argv, env=script.env, cwd=script.cwd, timeout=_SECONDS, check=False)
    if ran.returncode:
        raise UserError(
            subject=ENABLED,
            problem="mpi4py is not installed",
            remedy="add it to requirements.txt",
        )


def _number(parameters: Mapping[str, Any], name: str) -> int | None:
    value = parameters.get(name)
    return (
        None if value in (None, "") else int(coerce_value("processes_per_host", value, where=name))
    )


def _devices(environment: Environment) -> int:
    """As many as there are accelerators, like the toolkit; one where there are none."""
    for name in ("SM_NUM_GPUS", "SM_NUM_NEURONS"):
        number = coerce_value("threads", environment.env.get(name), where=name)
        if number:
            return int(number)
    return 1
