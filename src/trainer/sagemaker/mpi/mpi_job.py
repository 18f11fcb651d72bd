"""Run a user's script under mpirun, as SageMaker's `sagemaker_mpi_enabled` asks for.

The hyperparameters are those of SageMaker's training toolkit (`sagemaker_training/params.py` in
github.com/aws/sagemaker-training-toolkit). If there are several hosts, keys for ssh are created
when their containers start.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.config import Cluster, Job, UserError, flag_of, options_of
from trainer.launch import Command, HostGroup, Outcome, run_host
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
    """Return the job's settings for mpirun, or None if this host's script runs without it.

    Args:
        environment: What the platform gives, with the SM_ variables.
        given: Flags by field name, of which `port` and `start_timeout` are used.

    Raises:
        UserError: A flag, hyperparameter or variable is malformed.
    """
    parameters = framework_parameters(environment)
    if str(parameters.get(ENABLED)).lower() != "true":
        return None
    cluster = sagemaker.hosts.read_cluster(environment)
    if environment.env.get("SM_HOSTS") and not cluster.chief:
        # This host is in none of the instance groups that mpirun is for.
        return None
    flags = {name: given[name] for name in ("port", "start_timeout") if name in given}
    for name, value in flags.items():
        options_of(Job)[name].check(flag_of(name), value)
    group = HostGroup.of_cluster(
        cluster if cluster.chief else Cluster(),
        grace=sagemaker.platform.GRACE,
        secret=read_secret(environment.env, hyperparameters(environment))[0],
        **flags,
    )
    mpi.check_names(group)
    return MpiSettings(
        group=group,
        processes_per_host=_number(parameters, sagemaker.switches.PROCESSES)
        or _devices(environment),
        num_processes=_number(parameters, TOTAL),
        options=str(parameters.get(OPTIONS) or ""),
        instance_type=environment.env.get("SM_CURRENT_INSTANCE_TYPE", ""),
    )


def check(settings: MpiSettings) -> None:
    """Check that all programs are there, before anything is fetched or started.

    Each host checks what any host needs, so that no host waits for one that cannot join.

    Raises:
        UserError: A program is missing.
    """
    several = not settings.group.is_single
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
    """Run mpirun, or the ssh server for it, to its end.

    To be called from the main thread.

    Args:
        settings: As `read` returns them.
        script: The script, with its sources in place.

    Returns:
        How the job ended, with the root cause of a failure on whichever host.

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
    """Return what would be started on this host; it does not put together mpirun's own command."""
    group = settings.group
    if not group.is_first:
        argv: tuple[str, ...] = (str(ssh.SSHD), "-D")
    else:
        interface = group.interface or "lo"
        names = ["localhost"] if group.is_single else [member.host for member in group.members]
        argv = mpi.mpirun(settings, script, names, interface)
    return Command(argv=argv, env=script.env, cwd=script.cwd, name=script.name)


def _check_mpi4py(script: Command) -> None:
    # With the script's own interpreter and folders, as its requirements may have installed it.
    argv = [script.argv[0], "-c", _LOOK]
    ran = subprocess.run(argv, env=script.env, cwd=script.cwd, timeout=_SECONDS, check=False)
    if ran.returncode:
        raise UserError(
            subject=ENABLED, problem="mpi4py is not installed", remedy="add it to requirements.txt"
        )


def _number(parameters: Mapping[str, Any], name: str) -> int | None:
    value = parameters.get(name)
    return (
        None if value in (None, "") else int(coerce_value("processes_per_host", value, where=name))
    )


def _devices(environment: Environment) -> int:
    """Return the number of accelerators as the toolkit counts them, or 1 if there are none."""
    for name in ("SM_NUM_GPUS", "SM_NUM_NEURONS"):
        number = coerce_value("threads", environment.env.get(name), where=name)
        if number:
            return int(number)
    return 1
