"""This host in a job of the trainer's own: the settings it states and the processes it starts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from trainer.config import Job
from trainer.distribution import PlannedProcess, RendezvousAddress, spec_of
from trainer.launch import plan
from trainer.launch.agent import HostAgent, HostCommands
from trainer.launch.agreement import settings_of
from trainer.launch.environment import environment
from trainer.launch.host_settings import HostSettings
from trainer.launch.local_host import HostGroup, LocalHost
from trainer.launch.network import free_ports, interface_of
from trainer.launch.rendezvous.client import CoordinatorClient
from trainer.launch.rendezvous.messages import Start
from trainer.launch.rendezvous.state import JobSpec
from trainer.launch.server_agent import ServerAgent
from trainer.launch.supervise.command import Command
from trainer.launch.timeouts import Timeouts
from trainer.platforms import PLATFORMS


class TrainerHost(LocalHost):
    """This host in a job whose processes are the trainer's.

    Args:
        job: As this host sees it.
        base: The command of one process; each gets its own variables on top.
    """

    def __init__(self, job: Job, base: Command) -> None:
        super().__init__(HostGroup.of_job(job), base)
        self.job = job
        self.processes = plan.training_processes(job)

    def settings(self) -> HostSettings:
        """Return what this host states of the job; reads the files of its data."""
        return settings_of(self.job, self.member, name=self.name, env=self.base.env)

    def job_spec(self) -> JobSpec:
        """Return what the coordinator knows of the job in advance."""
        spec, job = super().job_spec(), self.job
        if not spec_of(job).coordinated:
            return spec
        # A worker's host without a parameter server is optional, and so is an evaluator.
        roles = {"evaluator", "worker"} if job.cluster.ps else {"evaluator"}
        optional = {m.id for m in spec.expected if m.role in roles}
        lists_evaluators = job.cluster.evaluator or PLATFORMS[job.platform].lists_evaluators
        return dataclasses.replace(
            spec,
            optional=frozenset(optional) - {self.group.first.id},
            restarts=job.restarts if job.checkpoint_dir else 0,
            unlisted_evaluators=not lists_evaluators,
            late_evaluators=job.late_evaluators,
        )

    def agent(self, client: CoordinatorClient, timeouts: Timeouts) -> HostAgent:
        """Return what decides for the processes of this host."""
        kind = ServerAgent if spec_of(self.job).coordinated else HostAgent
        return kind(
            member=self.member,
            name=self.name,
            client=client,
            make_commands=self.commands,
            stopped_code=self.group.stopped_code,
            timeouts=timeouts,
        )

    def on_start(self, processes: Mapping[str, int]) -> None:
        """Open the store in which Horovod's ranks find each other, if the strategy uses it."""
        planned = plan.plan_processes(self.job, processes)
        store_plan = spec_of(self.job).store_plan(planned, self.base.env)
        if store_plan:
            self.store.open(store_plan.places, late_sets=store_plan.late_sets)

    def commands(self, start: Start, *, probe: bool = True) -> HostCommands:
        """Return the processes of this host; see `LocalHost`."""
        job = self.job
        planned = plan.plan_processes(job, start.processes)
        free = probe and self.group.is_single and not job.port
        ports = free_ports(len(planned)) if free else []
        cluster = plan.cluster_of(job, planned, ports=ports)
        # The first host learns from the others at which of its addresses they reach it.
        reached_at = start.reached_at if self.group.is_first else None
        meeting = RendezvousAddress(
            ip=self._chief_ip,
            port=self.port,
            interface=job.cluster.interface or interface_of(reached_at or self._own_ip),
        )
        commands = tuple(
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
        return HostCommands(commands=commands, prefix=len(planned) > 1)


def _precision(process: PlannedProcess, start: Start) -> tuple[str, ...]:
    """Return the arguments that give a process the precision on which the hosts have agreed."""
    # An evaluator only reads checkpoints, so its arithmetic may differ.
    if not start.precision or process.role == "evaluator":
        return ()
    return ("--precision", start.precision)
