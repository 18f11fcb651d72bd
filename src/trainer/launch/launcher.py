"""The launcher of one host in a job of several processes: meet the others, then start one's own.

    argv = ("python", "-m", "trainer", "train")
    outcome = launch(job, Command(argv=argv, env=env, name="trainer"))

There is no ssh and no key: each host's container starts its processes itself, and all that hosts
need is to reach one port of the first of them. The processes find in TRAINER_TASK who they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from trainer.config import PORT, Job
from trainer.distribution import PlannedProcess, RendezvousAddress, spec_of
from trainer.launch import plan
from trainer.launch.agent import HostAgent, HostCommands
from trainer.launch.agreement import settings_of
from trainer.launch.bounded_work import run_bounded
from trainer.launch.environment import environment
from trainer.launch.host_settings import HostSettings
from trainer.launch.network import free_ports, interface_of, split_address
from trainer.launch.rendezvous.client import CoordinatorClient
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.http_server import serving
from trainer.launch.rendezvous.keepalive import Keepalive
from trainer.launch.rendezvous.kv_store import KeyValueStore
from trainer.launch.rendezvous.messages import Start
from trainer.launch.rendezvous.requests import Join, Sender
from trainer.launch.rendezvous.signing import Signer
from trainer.launch.rendezvous.state import JobSpec
from trainer.launch.rendezvous.transport import Transport, in_process, over_http
from trainer.launch.server_agent import ServerAgent
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
from trainer.platforms import PLATFORMS
from trainer.runtime import output, output_writers

# What NCCL wants of shared memory, in bytes.
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
    check(job)
    _warn(job)
    return run_host(LocalHost(job, base), out=out, err=err, timeouts=timeouts)


def run_host(
    host: LocalHost, *, out: int = 1, err: int = 2, timeouts: Timeouts = DEFAULTS
) -> Outcome:
    """Meet the others, and run what this host has to.

    Args, Returns, Raises: as of `launch`.
    """
    job = host.job
    with exiting_on_sigterm():
        # A network disk that hangs would keep this thread from hearing SIGTERM.
        settings = run_bounded(
            host.settings, text="the files of --train and --test", slow=timeouts.data_notice,
            within=job.start_timeout,
        )  # fmt: skip
    # As the other hosts receive them: long texts are cut.
    host.stated_settings = HostSettings.from_dict(settings.to_dict())
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        signals = stack.enter_context(reading_signals())
        stack.enter_context(orphans.adopting_orphans())
        coordinator = None
        if host.member == plan.members(job)[0]:
            coordinator = Coordinator(host.job_spec(), on_start=host.open_store, timeouts=timeouts)
            host.port = stack.enter_context(_serve(coordinator, host, timeouts))
        client = stack.enter_context(_client(coordinator, host, timeouts))
        agent = host.agent(client, timeouts)
        supervisor = Supervisor(
            signals, output_writers(out, err), grace=job.grace, policy=agent, timeouts=timeouts
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
            os.write(err, output.clean(f"trainer: failed: {failure.line}\n").encode())
    return agent.result.outcome(ran, failure)


def _serve(
    coordinator: Coordinator, host: LocalHost, timeouts: Timeouts
) -> contextlib.AbstractContextManager[int]:
    """Serve the coordinator on this host, while a block runs that gets the port."""
    single = plan.is_single_host(host.job)
    return serving(
        coordinator,
        host="127.0.0.1" if single else "",
        port=host.job.port or (0 if single else PORT),
        store=host.store,
        secret=host.job.secret,
        timeouts=timeouts,
    )


def _client(
    coordinator: Coordinator | None, host: LocalHost, timeouts: Timeouts
) -> CoordinatorClient:
    """Return this host's client of the coordinator, which runs here or on another host."""
    chief = plan.members(host.job)[0].host
    return CoordinatorClient(
        in_process(coordinator) if coordinator else host.transport_to(chief),
        id=host.member.id,
        join=Join(
            host=host.name,
            task=host.member.task,
            processes=plan.training_processes(host.job),
            settings=host.stated_settings,
            metadata=host.metadata,
        ),
        chief=host.name if coordinator else chief,
        port=host.port,
        start_timeout=host.job.start_timeout,
        open_keepalive=None if coordinator else partial(host.open_keepalive, timeouts=timeouts),
        timeouts=timeouts,
    )


def preview(job: Job, base: Command) -> list[Command]:
    """The processes that this host would start, if all hosts start as many.

    Raises:
        UserError: The job cannot be.
    """
    host = LocalHost(job, base)
    first = plan.members(job)[0]
    if host.member != first:
        host.connected(first.host, "127.0.0.1")
    counts = {member.id: plan.training_processes(job) for member in plan.members(job)}
    made = host.commands(Start(processes=counts), probe=False)
    return [command for _, command in made.commands]


class LocalHost:
    """This host: who it is, and how its processes are made.

    Attributes:
        member: Its place among the hosts.
        name: What it is called.
        port: Where the hosts meet.
        stated_settings: What it states of the job to the others.
        metadata: What the others receive of this one when the job starts.
        job: As this host sees it.
        base: The command of one process.
        store: What Horovod's ranks read and write; only the first host's is used.
    """

    def __init__(self, job: Job, base: Command) -> None:
        self.member = plan.this_host(job)
        self.name = split_address(self.member.address)[0] or socket.gethostname()
        self.port = job.port or PORT
        self.stated_settings = HostSettings()
        self.metadata: dict[str, Any] = {}
        self.store = KeyValueStore()
        self._signer = Signer(job.secret) if job.secret else None
        self.job = job
        self.base = base
        self._chief_ip = self._own_ip = "127.0.0.1"

    def settings(self) -> HostSettings:
        """Return what this host states of the job; the files of its data are looked at."""
        return settings_of(self.job, self.member, name=self.name, env=self.base.env)

    def job_spec(self) -> JobSpec:
        """Return what the coordinator knows of the job in advance."""
        job, served = self.job, spec_of(self.job).coordinated
        members = plan.members(job)
        beside = not job.cluster.ps
        optional = [
            m.id
            for m in members
            if served and (m.role == "evaluator" or (m.role == "worker" and not beside))
        ]
        return JobSpec(
            settings=self.stated_settings,
            expected=members,
            optional=frozenset(optional) - {members[0].id},
            restarts=job.restarts if served and job.checkpoint_dir else 0,
            start_timeout=job.start_timeout,
            unlisted_evaluators=(
                served
                and not job.cluster.evaluator
                and not PLATFORMS[job.platform].lists_evaluators
            ),
            late_evaluators=job.late_evaluators,
        )

    def agent(self, client: CoordinatorClient, timeouts: Timeouts) -> HostAgent:
        """Return what decides for the processes of this host."""
        kind = ServerAgent if spec_of(self.job).coordinated else HostAgent
        return kind(
            self.job,
            member=self.member,
            name=self.name,
            client=client,
            make_commands=self.commands,
            timeouts=timeouts,
        )

    def open_store(self, counts: Mapping[str, int]) -> None:
        """Let the ranks of Horovod meet, as the job starts.

        Args:
            counts: For each member, how many it has that train.
        """
        planned = plan.plan_processes(self.job, counts)
        store_plan = spec_of(self.job).store_plan(planned, self.base.env)
        if store_plan:
            self.store.open(store_plan.places, late_sets=store_plan.late_sets)

    def connected(self, chief_ip: str, own_ip: str) -> None:
        """Take note of the addresses that a connection to the chief's host has."""
        self._chief_ip, self._own_ip = chief_ip, own_ip

    def open_keepalive(self, sender: Sender, *, timeouts: Timeouts) -> Keepalive:
        """Open an idle connection to the chief's host, once it has been reached."""
        return Keepalive(self._chief_ip, self.port, sender, self._signer, timeouts)

    def transport_to(self, chief: str) -> Transport:
        """Return the transport to the coordinator on another host."""
        return over_http(chief, self.port, self.connected, self._signer)

    def commands(self, start: Start, *, probe: bool = True) -> HostCommands:
        """Return the processes of this host.

        Args:
            start: The coordinator's message that the job starts.
            probe: Whether free ports may be looked for.
        """
        job = self.job
        planned = plan.plan_processes(job, start.processes)
        free = probe and plan.is_single_host(job) and not job.port
        ports = free_ports(len(planned)) if free else []
        cluster = plan.cluster_of(job, planned, ports=ports)
        # The first host learns from the others at which of its addresses they reach it.
        reached_at = start.reached_at if self.member == plan.members(job)[0] else None
        meeting = RendezvousAddress(
            ip=self._chief_ip,
            port=self.port,
            interface=job.cluster.interface or interface_of(reached_at or self._own_ip),
        )
        mine = tuple(
            (
                process,
                dataclasses.replace(
                    self.base,
                    name=f"{self.name} {process.name}",
                    argv=(*self.base.argv, *_precision(process, start)),
                    env=environment(
                        process, planned, job, cluster=cluster, meeting=meeting, env=self.base.env
                    ),
                ),
            )
            for process in plan.processes_on(self.member, planned)
        )
        return HostCommands(commands=mine, prefix=len(planned) > 1)


def _precision(process: PlannedProcess, start: Start) -> tuple[str, ...]:
    """Return the arguments that give a process the precision on which the hosts have agreed."""
    common = start.precision
    # An evaluator shares no arithmetic with the others, but their checkpoints.
    return ("--precision", str(common)) if common and process.role != "evaluator" else ()


def check(job: Job) -> None:
    """Raise a UserError for what can be found wrong before the others are met."""
    spec_of(job).check(job, plan.training_processes(job))


def _warn(job: Job) -> None:
    if job.gpus > 1 and spec_of(job).uses_nccl:
        with contextlib.suppress(OSError):
            memory = os.statvfs("/dev/shm")
            size = memory.f_frsize * memory.f_blocks
            if size < _SHM:
                output.err(
                    f"trainer: warning: /dev/shm has {size >> 20} MiB, less than the 1 GiB that "
                    f"NCCL wants for {job.gpus} GPUs; docker run --shm-size=1g"
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
