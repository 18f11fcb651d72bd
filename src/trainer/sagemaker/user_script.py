"""The user's script as the program of a SageMaker container: found, prepared, run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.launch import Command, Outcome, run_supervised
from trainer.platforms import Environment, missing_gpu_warning, sagemaker
from trainer.sagemaker import script_cluster
from trainer.sagemaker.mpi import mpi_job
from trainer.sagemaker.mpi.host import MpiSettings
from trainer.sagemaker.script_cluster import ScriptCluster
from trainer.sagemaker.script_gpu import gpu_warning
from trainer.sagemaker.script_mode import NAME, arguments, interpreter, prepare
from trainer.sagemaker.script_model import model_warning

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PreparedScript:
    """A script with its sources in place.

    Attributes:
        environment: What the platform says.
        command: The script's process.
        mpi: How mpirun starts it; None if it does not.
        cluster: The script's own cluster; None if it has none.
        model_dir: Where it leaves its model; None on hosts that need not.
    """

    environment: Environment
    command: Command
    mpi: MpiSettings | None
    cluster: ScriptCluster | None
    model_dir: Path | None

    def run(self) -> Outcome:
        """Run the script to its end, and warn of a GPU or a model that is missing."""
        _warn(
            missing_gpu_warning(self.environment) or gpu_warning(self.environment, self.command.env)
        )
        if self.mpi is not None:
            outcome = mpi_job.launch(self.mpi, self.command)
        else:
            commands, policy = [self.command], None
            if self.cluster is not None:
                commands, policy = self.cluster.commands(self.command), self.cluster.policy()
            outcome = run_supervised(
                commands, grace=sagemaker.platform.GRACE, prefix=False, policy=policy
            )
        if self.model_dir is not None and not outcome.code:
            _warn(model_warning(self.model_dir))
        return outcome


@dataclass(frozen=True, kw_only=True)
class UserScript:
    """A script that the job names.

    Attributes:
        environment: What the platform says, with the SM_ variables.
        program: The script's file or module.
        submit_directory: Where its sources are; None if they are in the container already.
    """

    environment: Environment
    program: str
    submit_directory: str | None

    def prepare(self, flags: Mapping[str, Any]) -> PreparedScript:
        """Fetch the sources and install what they need.

        Args:
            flags: Flags of `trainer train` by field name, some of which apply to mpirun's hosts.

        Raises:
            UserError: Something that the job says of the script is not as it should be.
        """
        mpi = mpi_job.read(self.environment, flags)
        if mpi is not None:
            mpi_job.check(mpi)
        command = prepare(
            program=self.program,
            submit_directory=self.submit_directory,
            code_dir=self._folder,
            hyperparameters=sagemaker.files.script_hyperparameters(self.environment),
            env=self.environment.env,
        )
        is_first = sagemaker.hosts.read_cluster(self.environment).is_chief
        model_dir = self.environment.env.get("SM_MODEL_DIR") if is_first else None
        return PreparedScript(
            environment=self.environment,
            command=command,
            mpi=mpi,
            cluster=script_cluster.read(self.environment),
            model_dir=Path(model_dir) if model_dir else None,
        )

    def preview(self, flags: Mapping[str, Any]) -> list[Command]:
        """Return what would be started on this host, without fetching or installing anything.

        Args:
            flags: As of `prepare`.

        Raises:
            UserError: Something that the job says of the script is not as it should be.
        """
        given = arguments(sagemaker.files.script_hyperparameters(self.environment))
        argv = (*interpreter(self.program, sys.executable), *given)
        script = Command(argv=argv, env=self.environment.env, cwd=self._folder, name=NAME)
        mpi, cluster = mpi_job.read(self.environment, flags), script_cluster.read(self.environment)
        if cluster is not None:
            return cluster.commands(script)
        return [mpi_job.preview(mpi, script) if mpi else script]

    @property
    def _folder(self) -> Path:
        return sagemaker.files.base_dir(self.environment) / "code"


def find_script(environment: Environment) -> UserScript | None:
    """Return the script that the job names, or None if it names none.

    Args:
        environment: What the platform says, with the SM_ variables.

    Raises:
        UserError: The hyperparameters are malformed.
    """
    parameters = sagemaker.files.framework_parameters(environment)
    found = [
        environment.env.get(name.upper()) or parameters.get(name)
        for name in ("sagemaker_program", "sagemaker_submit_directory")
    ]
    program, sources = (str(value) if value else None for value in found)
    if program is None:
        return None
    return UserScript(environment=environment, program=program, submit_directory=sources)


def _warn(warning: str | None) -> None:
    if warning:
        logger.warning("%s", warning)
