"""This host among those of a job: how it is reached, and what it contributes."""

from __future__ import annotations

import abc
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.config import DEFAULT_PORT, Cluster, Job
from trainer.launch import plan
from trainer.launch.agent import HostAgent, HostCommands
from trainer.launch.host_settings import HostSettings
from trainer.launch.network import split_address
from trainer.launch.plan import Member
from trainer.launch.rendezvous.client import CoordinatorClient
from trainer.launch.rendezvous.keepalive import Keepalive
from trainer.launch.rendezvous.kv_store import KeyValueStore
from trainer.launch.rendezvous.messages import Start
from trainer.launch.rendezvous.requests import Sender
from trainer.launch.rendezvous.signing import Signer
from trainer.launch.rendezvous.state import JobSpec
from trainer.launch.rendezvous.transport import Transport, over_http
from trainer.launch.supervise.command import Command
from trainer.launch.timeouts import Timeouts


@dataclass(frozen=True, kw_only=True)
class HostGroup:
    """The hosts that work together, and how their launchers meet.

    Attributes:
        members: The hosts that have to join; the coordinator runs on the first.
        member: This host.
        is_single: Whether this host is the only one, so that no other has to reach it.
        port: The coordinator's port; None for the default, or on a single host any free one.
        secret: Signs the messages between launchers; None to leave them unsigned.
        interface: The network interface to the other hosts; None to find it.
        start_timeout: Seconds for all hosts to join.
        grace: Seconds from SIGTERM to SIGKILL when this host is asked to stop.
        stopped_code: The exit code of a process that has stopped as it was asked to.
    """

    members: tuple[Member, ...]
    member: Member
    is_single: bool
    port: int | None = None
    secret: str | None = None
    interface: str | None = None
    start_timeout: float = Job.start_timeout
    grace: float = Job.grace
    stopped_code: int = 128 + signal.SIGTERM

    @classmethod
    def of_cluster(cls, cluster: Cluster, **more: Any) -> HostGroup:
        """Return the group of all hosts of a cluster.

        Args:
            cluster: The hosts, and which of them this one is.
            more: The other attributes.
        """
        members = plan.members_of(cluster)
        return cls(
            members=members,
            member=plan.this_host(cluster),
            is_single=len(members) == 1,
            interface=cluster.interface,
            **more,
        )

    @classmethod
    def of_job(cls, job: Job) -> HostGroup:
        """Return the group of the hosts of a job.

        Raises:
            UserError: There is a host that the job's strategy has no use for.
        """
        return cls(
            members=plan.members(job),
            member=plan.this_host(job.cluster),
            is_single=plan.is_single_host(job),
            port=job.port,
            secret=job.secret,
            interface=job.cluster.interface,
            start_timeout=job.start_timeout,
            grace=job.grace,
            stopped_code=job.stopped_code,
        )

    @property
    def first(self) -> Member:
        """The host of the coordinator, which is the chief's."""
        return self.members[0]

    @property
    def is_first(self) -> bool:
        """True if the coordinator runs on this host."""
        return self.member == self.first


class LocalHost(abc.ABC):
    """This host: what it states of itself, and which processes it starts.

    Args:
        group: The hosts of the job.
        base: The command of one process.

    Attributes:
        member: This host's place among the hosts.
        name: This host's name, for people.
        port: The coordinator's port.
        processes: How many processes train on this host.
        stated_settings: What it states of the job to the others.
        metadata: What the others receive of this host when the job starts.
        store: What Horovod's ranks read and write; only the first host's is used.
    """

    processes = 1

    def __init__(self, group: HostGroup, base: Command) -> None:
        self.group = group
        self.base = base
        self.member = group.member
        self.name = split_address(self.member.address)[0] or socket.gethostname()
        self.port = group.port or DEFAULT_PORT
        self.stated_settings = HostSettings()
        self.metadata: dict[str, Any] = {}
        self.store = KeyValueStore()
        self._signer = Signer(group.secret) if group.secret else None
        self._chief_ip = self._own_ip = "127.0.0.1"

    @abc.abstractmethod
    def settings(self) -> HostSettings:
        """Return what this host states of the job, which may read files of its data."""

    @abc.abstractmethod
    def agent(self, client: CoordinatorClient, timeouts: Timeouts) -> HostAgent:
        """Return what decides for the processes of this host."""

    @abc.abstractmethod
    def commands(self, start: Start, *, probe: bool = True) -> HostCommands:
        """Return the processes of this host.

        Args:
            start: The coordinator's message that the job starts.
            probe: Whether free ports may be looked for.

        Raises:
            UserError: The processes cannot be started as the hosts are.
        """

    def job_spec(self) -> JobSpec:
        """Return what the coordinator knows of the job in advance: here all hosts are needed."""
        return JobSpec(
            settings=self.stated_settings,
            expected=self.group.members,
            start_timeout=self.group.start_timeout,
        )

    def on_start(self, processes: Mapping[str, int]) -> None:  # noqa: B027
        """Prepare the coordinator's host before any host learns that the job starts.

        Args:
            processes: For each member, how many processes it has that train.
        """

    def connected(self, chief_ip: str, own_ip: str) -> None:
        """Store the two addresses of a connection to the coordinator's host."""
        self._chief_ip, self._own_ip = chief_ip, own_ip

    def open_keepalive(self, sender: Sender, *, timeouts: Timeouts) -> Keepalive:
        """Open an idle connection to the coordinator's host, once it has been reached."""
        return Keepalive(self._chief_ip, self.port, sender, self._signer, timeouts)

    def transport_to(self, chief: str) -> Transport:
        """Return the transport to the coordinator on another host."""
        return over_http(chief, self.port, self.connected, self._signer)
