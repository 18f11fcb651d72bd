"""What a container runs: the trainer, or a user's own script, under supervision.

This process reads what the platform says, starts one child, or this host's share of several, and
watches them: it passes signals on, reaps what is left behind, and tells the platform why a run
failed, even one that the kernel killed, or that failed on another host. It imports neither
TensorFlow nor NumPy.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import RETRY, Job, Parser, RetryableError, UserError, add_flags
from trainer.launch import (
    Command,
    announcing,
    announcing_flags,
    check,
    exiting_on_sigterm,
    failure_file,
    launch,
    needs_launcher,
    preview as preview_launch,
    run_supervised,
)
from trainer.platforms import (
    Environment,
    missing_gpu,
    resolve_job,
    sagemaker,
    sagemaker_files,
    which,
)
from trainer.runtime import guarded, host_limits, output
from trainer.sagemaker import (
    MpiSettings,
    ScriptCluster,
    gpu_warning,
    model_warning,
    script_cluster,
    settings,
)

USER_MISTAKE = 2


def main(argv: Sequence[str]) -> int:
    """Run a container's job to its end.

    Args:
        argv: The arguments of `trainer train`, or what the platform passes in their place.

    Returns:
        The exit code: 0; 1 to 127 for what the user must mend; 128 and up for what a new try may
        cure.
    """
    with guarded() as streams:
        if streams:
            streams.never_wait()
        return _main(argv)


def _main(argv: Sequence[str]) -> int:
    debug = "--debug" in argv
    output.begin(os.environ, argv)
    environment = Environment(env=os.environ, argv=argv)
    report = _Report(environment)
    try:
        # As process 1 of a container, signals without a handler would be ignored.
        with exiting_on_sigterm():
            plan = make_plan(environment)
        warning = missing_gpu(environment)
        if plan.script:
            warning = warning or gpu_warning(environment, plan.command.env)
        if warning and plan.device == "auto":
            output.err(f"trainer: warning: {warning}")
        if plan.job is not None:
            outcome = launch(plan.job, plan.command)
        elif plan.mpi is not None:
            outcome = settings.launch(plan.mpi, plan.command)
        else:
            commands, rules = [plan.command], None
            if plan.cluster is not None:
                commands, rules = plan.cluster.commands(plan.command), plan.cluster.rules()
            outcome = run_supervised(commands, grace=plan.grace, prefix=False, rules=rules)
        if plan.model_dir is not None and not outcome.code:
            warning = model_warning(plan.model_dir)
            if warning:
                output.err(f"trainer: warning: {warning}")
    except (UserError, RetryableError, RuntimeError, OSError) as error:
        return _not_started(error, report, debug=debug)
    if outcome.cause:
        report.failed(outcome.cause.reason, host=outcome.cause.host, process=outcome.cause.process)
    elif outcome.code:
        report.failed(failure_file.reason_from(outcome))
        line = failure_file.line_from(outcome)
        if line:
            output.err(f"trainer: failed: {line}")
    return outcome.code


def _not_started(error: Exception, report: _Report, *, debug: bool) -> int:
    """Tell why nothing was started, and return the exit code."""
    retry = isinstance(error, RetryableError)
    told = isinstance(error, (UserError, RetryableError))
    reason = str(error) if told else host_limits.mistake_of(error)
    if reason is None:
        raise error
    if debug:
        output.err_traceback(error)
    words = f"failed: {reason}; a new try may cure it" if retry else f"error: {reason}"
    output.err(f"trainer: {words}")
    report.failed(reason)
    return RETRY if retry else USER_MISTAKE


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to start.

    Attributes:
        command: The child.
        grace: Seconds it has from SIGTERM to SIGKILL.
        job: What needs several processes, of which the child is one; None if it is the only one.
        mpi: How mpirun starts the child, a user's script; None if it does not.
        cluster: The cluster of the child, a user's script; None if it has none of its own.
        model_dir: Where a user's script leaves its model; None on hosts that need not.
        device: What the child is to compute on, as `Job` has it.
        script: Whether the child is a user's script.
    """

    command: Command
    grace: float
    job: Job | None = None
    mpi: MpiSettings | None = None
    cluster: ScriptCluster | None = None
    model_dir: Path | None = None
    device: str = "auto"
    script: bool = False


def make_plan(environment: Environment) -> Plan:
    """Decide what runs: a user's script where SageMaker names one, else the trainer.

    Raises:
        UserError: Something that the platform or the command line says is not as it should be.
    """
    if which(environment)[0] is sagemaker:
        # Made once: the child finds the SM_ variables in its environment.
        environment = sagemaker_files.view(environment)
        output.protect(environment.env)
        mpi = _mpi(environment)
        if mpi is not None:
            settings.check(mpi)
        script = _script(environment)
        if script is not None:
            first = sagemaker.read_cluster(environment).is_chief
            folder = environment.env.get("SM_MODEL_DIR") if first else None
            return Plan(
                command=script,
                grace=sagemaker.GRACE,
                mpi=mpi,
                cluster=script_cluster.read(environment),
                model_dir=Path(folder) if folder else None,
                script=True,
            )
    with announcing_flags(environment, command(environment)):
        job = resolve_job(environment, parse(environment.argv)).job
    output.protect(dict(job.hparams.hp))
    base = command(environment)
    with announcing(job, base):
        many = needs_launcher(job)
        if many:
            check(job)
    return Plan(command=base, grace=job.grace, job=job if many else None, device=job.device)


def preview(environment: Environment, job: Job) -> list[Command]:
    """What would be started on this host, without fetching or installing anything.

    Args:
        environment: What the platform says.
        job: What becomes of it.

    Raises:
        UserError: Something that the platform says is not as it should be.
    """
    if which(environment)[0] is sagemaker:
        environment = sagemaker_files.view(environment)
        program, _ = _named(environment)
        if program:
            from trainer.sagemaker import NAME, arguments, interpreter

            given = arguments(sagemaker_files.script_hyperparameters(environment))
            folder = sagemaker_files.base_dir(environment) / "code"
            argv = (*interpreter(program, sys.executable), *given)
            script = Command(argv=argv, env=environment.env, cwd=folder, name=NAME)
            mpi, cluster = _mpi(environment), script_cluster.read(environment)
            if cluster is not None:
                return cluster.commands(script)
            return [settings.preview(mpi, script) if mpi else script]
    one = command(environment)
    return preview_launch(job, one) if needs_launcher(job) else [one]


def command(environment: Environment) -> Command:
    """The trainer itself; `--dry-run` is for the process that was asked for it."""
    return Command(
        argv=(sys.executable, "-m", "trainer", "train", *_flags(environment.argv)),
        env=environment.env,
        name="trainer",
    )


def _flags(argv: Sequence[str]) -> list[str]:
    """Return arguments without the verb, which may also be a folder's name, and `--dry-run`."""
    flags = argv[1:] if list(argv[:1]) == ["train"] else argv
    return [flag for flag in flags if flag not in ("--dry-run", "--json")]


def parse(argv: Sequence[str]) -> dict[str, Any]:
    """The flags of `trainer train` that are given, by field name."""
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser)
    # Read by `main`, and by the processes that it starts.
    parser.add_argument("--debug", action="store_true")
    return vars(parser.parse_args(argv))


def _script(environment: Environment) -> Command | None:
    """The user's script with its sources in place, or None if SageMaker names none."""
    program, sources = _named(environment)
    if program is None:
        return None
    from trainer.sagemaker import prepare

    return prepare(
        program=program,
        submit_directory=sources,
        code_dir=sagemaker_files.base_dir(environment) / "code",
        hyperparameters=sagemaker_files.script_hyperparameters(environment),
        env=environment.env,
    )


def _mpi(environment: Environment) -> MpiSettings | None:
    """How mpirun starts the user's script, or None if it does not, or there is none."""
    program, _ = _named(environment)
    return settings.read(environment, parse(_flags(environment.argv))) if program else None


def _named(environment: Environment) -> tuple[str | None, str | None]:
    """The user's program and where its sources are, as the job names them."""
    parameters = sagemaker_files.framework_parameters(environment)
    found = [
        environment.env.get(name.upper()) or parameters.get(name)
        for name in ("sagemaker_program", "sagemaker_submit_directory")
    ]
    program, sources = (str(value) if value else None for value in found)
    return program, sources


class _Report:
    """Tells the platform why a run failed."""

    def __init__(self, environment: Environment) -> None:
        self._seen = environment
        self._path: Path | None = None
        if which(environment)[0] is sagemaker:
            self._path = sagemaker_files.base_dir(environment) / "output/failure"
            # What an earlier run left must not pass for the reason of this one.
            failure_file.clear(self._path)

    def failed(self, reason: str, *, host: str | None = None, process: str | None = None) -> None:
        """Write the failure file, if the platform reads one."""
        if self._path is not None:
            failure_file.write(
                self._path, reason=reason, host=host or self._host(), process=process
            )

    def _host(self) -> str:
        """This host's name: the platform's, as containers often share theirs."""
        named = self._seen.env.get("SM_CURRENT_HOST")
        if named:
            return named
        try:
            resources = sagemaker_files.read_file(
                sagemaker_files.config_file(self._seen, "resourceconfig.json")
            )
            return str(resources["current_host"])
        except (UserError, KeyError, TypeError):
            return socket.gethostname()
