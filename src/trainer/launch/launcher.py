"""Launch this host's processes of a job that has several, together with the other hosts.

    argv = ("python", "-m", "trainer", "train")
    outcome = launch(job, Command(argv=argv, env=env, name="trainer"))

There is no ssh and no key: the launcher in each host's container starts the processes of that host,
and hosts only need to reach one port of the first. A process finds its role in TRAINER_TASK.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from functools import partial

from trainer.config import DEFAULT_PORT, Job
from trainer.distribution import spec_of
from trainer.launch import plan
from trainer.launch.bounded_work import run_bounded
from trainer.launch.host_settings import HostSettings
from trainer.launch.local_host import LocalHost
from trainer.launch.rendezvous.client import CoordinatorClient
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.http_server import serving_coordinator
from trainer.launch.rendezvous.messages import Start
from trainer.launch.rendezvous.requests import Join
from trainer.launch.rendezvous.transport import in_process
from trainer.launch.supervise import orphans
from trainer.launch.supervise.command import Command, Outcome
from trainer.launch.supervise.signals import (
    STOPPING,
    SignalReader,
    exiting_on_sigterm,
    reading_signals,
)
from trainer.launch.supervise.supervisor import Supervisor
from trainer.launch.timeouts import DEFAULTS, Timeouts
from trainer.launch.trainer_host import TrainerHost
from trainer.runtime import formatted, live_bar, output_writers

logger = logging.getLogger(__name__)

# The shared memory that NCCL needs, in bytes.
_SHM = 1 << 30


def launch(
    job: Job, base: Command, *, out: int = 1, err: int = 2, timeouts: Timeouts = DEFAULTS
) -> Outcome:
    """Run this host's part of a job to its end.

    To be called from the main thread.

    Args:
        job: As this host sees it; `plan.needs_launcher(job)` is true.
        base: The command of one process; each gets its own variables on top.
        out: The descriptor that their standard output goes to.
        err: The one that their standard error goes to.
        timeouts: How long hosts and processes wait for each other.

    Returns:
        How the job ended: with the first cause of a failure, on whichever host that was.

    Raises:
        UserError: The hosts cannot meet at the port, or a program cannot be started.
    """
    check_job(job)
    _warn(job)
    return run_host(TrainerHost(job, base), out=out, err=err, timeouts=timeouts)


def run_host(
    host: LocalHost, *, out: int = 1, err: int = 2, timeouts: Timeouts = DEFAULTS
) -> Outcome:
    """Meet the other hosts, and run this host's processes.

    Args:
        host: This host.
        out: As of `launch`.
        err: As of `launch`.
        timeouts: As of `launch`.

    Returns, Raises: as of `launch`.
    """
    group = host.group
    with exiting_on_sigterm():
        # In a thread of its own, as a hanging network disk would block this one's signal handlers.
        settings = run_bounded(
            host.settings, text="the files of --train and --test", slow=timeouts.data_notice,
            within=group.start_timeout,
        )  # fmt: skip
    # As the other hosts receive them: long texts are cut.
    host.stated_settings = HostSettings.from_dict(settings.to_dict())
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        signals = stack.enter_context(reading_signals())
        stack.enter_context(orphans.adopting_orphans())
        coordinator = None
        if group.is_first:
            coordinator = Coordinator(host.job_spec(), on_start=host.on_start, timeouts=timeouts)
            host.port = stack.enter_context(_serve(coordinator, host, timeouts))
        client = stack.enter_context(_client(coordinator, host, timeouts))
        agent = host.agent(client, timeouts)
        supervisor = Supervisor(
            signals, output_writers(out, err), grace=group.grace, policy=agent, timeouts=timeouts
        )
        try:
            ran = supervisor.finish()
        except BaseException:
            supervisor.kill()
            raise
        failure = client.leave(
            code=agent.result.outcome(ran, agent.failure).code,
            early=agent.stopped_early,
            failure=agent.failure,
        )
        if coordinator:
            _await_departures(coordinator, signals, timeouts, failed=bool(failure))
    if failure:
        with contextlib.suppress(OSError):
            line = formatted(f"trainer: failed: {failure.line}", level=logging.ERROR)
            os.write(err, live_bar.rest() + f"{line}\n".encode())
    return agent.result.outcome(ran, failure)


def _serve(
    coordinator: Coordinator, host: LocalHost, timeouts: Timeouts
) -> contextlib.AbstractContextManager[int]:
    """Serve the coordinator on this host, while a block runs that gets the port."""
    group = host.group
    return serving_coordinator(
        coordinator,
        host="127.0.0.1" if group.is_single else "",
        port=group.port or (0 if group.is_single else DEFAULT_PORT),
        store=host.store,
        secret=group.secret,
        timeouts=timeouts,
    )


def _client(
    coordinator: Coordinator | None, host: LocalHost, timeouts: Timeouts
) -> CoordinatorClient:
    """Return this host's client of the coordinator, which runs here or on another host."""
    chief = host.group.first.host
    return CoordinatorClient(
        in_process(coordinator) if coordinator else host.transport_to(chief),
        id=host.member.id,
        join=Join(
            host=host.name,
            task=host.member.task,
            processes=host.processes,
            settings=host.stated_settings,
            metadata=host.metadata,
        ),
        chief=host.name if coordinator else chief,
        port=host.port,
        start_timeout=host.group.start_timeout,
        open_keepalive=None if coordinator else partial(host.open_keepalive, timeouts=timeouts),
        timeouts=timeouts,
    )


def preview_commands(job: Job, base: Command) -> list[Command]:
    """Return the commands that this host would start, if all hosts start as many processes.

    Raises:
        UserError: The job cannot be started.
    """
    host = TrainerHost(job, base)
    if not host.group.is_first:
        host.connected(host.group.first.host, "127.0.0.1")
    counts = {member.id: host.processes for member in host.group.members}
    made = host.commands(Start(processes=counts), probe=False)
    return [command for _, command in made.commands]


def check_job(job: Job) -> None:
    """Raise a UserError for what can be found wrong before the hosts meet."""
    spec_of(job).check(job, plan.training_processes(job))


def _warn(job: Job) -> None:
    """Warn of a container with too little shared memory for NCCL."""
    if job.gpus > 1 and spec_of(job).uses_nccl:
        with contextlib.suppress(OSError):
            memory = os.statvfs("/dev/shm")
            size = memory.f_frsize * memory.f_blocks
            if size < _SHM:
                logger.warning(
                    "/dev/shm has %d MiB, less than the 1 GiB that NCCL wants for %d GPUs; "
                    "docker run --shm-size=1g",
                    size >> 20,
                    job.gpus,
                )


def _await_departures(
    coordinator: Coordinator, signals: SignalReader, timeouts: Timeouts, *, failed: bool
) -> None:
    """Wait until all other hosts have left, so that they get the last messages."""
    ending = 0.0 if failed else max(timeouts.trainer_grace, timeouts.evaluator_grace)
    until = time.monotonic() + timeouts.departure + ending
    while coordinator.wait_for_leave(0.2) and time.monotonic() < until:
        if any(number in STOPPING for number in signals.read()):
            return
