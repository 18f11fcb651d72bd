"""The part of one host in a job that mpirun starts.

The first host runs mpirun, each other one a server for ssh, through which mpirun starts its
processes there. The hosts meet as those of any other job (`launcher.py`): there they tell each
other their public keys, hear of failures, and learn that mpirun is done.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer import __version__
from trainer.config import Job, UserError
from trainer.distribution import PlannedProcess
from trainer.launch import (
    Command,
    CoordinatorClient,
    HostAgent,
    HostCommands,
    HostSettings,
    LocalHost,
    Start,
    Timeouts,
    free_ports,
    interface_of,
    plain,
    plan,
)
from trainer.platforms import SECRET_VARIABLE
from trainer.sagemaker.mpi import ssh
from trainer.sagemaker.mpi.agent import MpiAgent

AGENT = "OMPI_MCA_plm_rsh_agent"
# Read by what the toolkit preloads, which does not look whether it is there.
RESOURCES = Path("/opt/ml/input/config/resourceconfig.json")
_SERVER = "ssh server"
# Of mpirun's options: --map-by, --rankfile, --hostfile, -npernode and so on.
_SPREADING = re.compile(r"map|rank|host|node|-H\b|ppr")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class MpiSettings:
    """What the user says of mpirun.

    Attributes:
        job: Who takes part. Its way to share the work is that of parameter servers: the chief's
            process counts, those of the others serve it.
        processes_per_host: How many mpirun starts on each host.
        num_processes: How many it starts in all; None for that on every host.
        options: More options of mpirun's, separated by blanks.
        instance_type: The hosts', by which the toolkit sets options for the network.
    """

    job: Job
    processes_per_host: int
    num_processes: int | None = None
    options: str = ""
    instance_type: str = ""


class MpiHost(LocalHost):
    """This host: what it tells of its keys, and which process it starts.

    Args:
        mpi: What the user says.
        script: The user's script.
        folder: A private folder for keys and settings.
    """

    def __init__(self, mpi: MpiSettings, script: Command, folder: Path) -> None:
        # mpirun gives them terminals, on which Python writes line by line anyway; without a buffer
        # it writes less than lines, and mpirun's tags would stand within them.
        left_out = ("PYTHONUNBUFFERED", SECRET_VARIABLE)
        env = {k: v for k, v in script.env.items() if k not in left_out}
        super().__init__(mpi.job, dataclasses.replace(script, env=env))
        self._mpi = mpi
        self._folder = folder
        self._first, *self._others = plan.members(mpi.job)

    def settings(self) -> HostSettings:
        """Return what has to be the same for mpirun; flags of the trainer are not for a script."""
        return HostSettings(
            host=f"{self.name} ({self.member.task})",
            values={
                "trainer": plain(__version__),
                "hosts": plain(len(plan.members(self.job))),
            },
        )

    def make_keys(self) -> None:
        """Make this host's key, and the metadata for the others.

        Raises:
            UserError: It cannot be made.
        """
        if not self._others:
            return
        if self.member == self._first:
            self.metadata = {"user": ssh.make(self._folder / "user")}
        else:
            key = ssh.make(self._folder / "host")
            (port,) = free_ports(1)
            server = ssh.SshServer(key=key, port=port)
            self.metadata = {**server.to_dict(), "interface": self.job.cluster.interface}

    def agent(self, client: CoordinatorClient, timeouts: Timeouts) -> HostAgent:
        """Return what decides for the process of this host."""
        return MpiAgent(
            self.job,
            member=self.member,
            name=self.name,
            client=client,
            make_commands=self.commands,
            timeouts=timeouts,
            host_of=self._host_of,
        )

    def commands(self, start: Start, *, probe: bool = True) -> HostCommands:
        """Return the process of this host; its lines get no name, as mpirun puts ranks before them.

        Raises:
            UserError: What another host tells of itself is not as it should be.
        """
        if self.member == self._first:
            process: PlannedProcess = _MpirunProcess(role="chief", index=0, member=self.member.id)
            command = self._mpirun(start)
        else:
            process = _SshServerProcess(
                role="worker", index=self.member.index, member=self.member.id
            )
            command = self._server(start.metadata)
        return HostCommands(commands=((process, command),), prefix=False)

    def _server(self, metadata: Mapping[str, Any]) -> Command:
        client = ssh.public(metadata[self._first.id].get("user"), host=self._first.host)
        env = {**self.base.env, **_host_name()}
        argv = ssh.serve(self._folder, port=self.metadata["port"], client=client, env=env)
        return Command(argv=argv, env=self.base.env, name=_SERVER)

    def _mpirun(self, start: Start) -> Command:
        # The toolkit has mpirun pass it on, which warns where there is none; an empty one is none.
        env = {"LD_LIBRARY_PATH": "", **self.base.env, **_host_name()}
        names = ["localhost"]
        if self._others:
            metadata = {member.host: start.metadata[member.id] for member in self._others}
            servers = {
                host: ssh.SshServer.from_dict(each, host=host) for host, each in metadata.items()
            }
            env[AGENT] = shlex.join(ssh.connect(self._folder, servers))
            names = [self._first.host, *metadata]
            interface = self._interface(start, metadata)
        else:
            interface = self.job.cluster.interface or "lo"
            # Else it fails where there is no ssh, though it has no use for it.
            env.setdefault("OMPI_MCA_plm", "isolated")
        return dataclasses.replace(
            self.base, argv=mpirun(self._mpi, self.base, names, interface), env=env, name="mpirun"
        )

    def _interface(self, start: Start, metadata: Mapping[str, Any]) -> str:
        """The network interface between the hosts: mpirun wants one name for all.

        Raises:
            UserError: There is no such name.
        """
        reached_at = start.reached_at
        own = self.job.cluster.interface or (interface_of(reached_at) if reached_at else None)
        for host, each in metadata.items():
            if not own or each.get("interface") not in (None, own):
                raise UserError(
                    subject="network interface",
                    problem=f"{self._first.host} has {own}, {host} has {each.get('interface')}",
                    remedy="mpirun needs one name on all hosts",
                )
        return str(own)

    def _host_of(self, rank: int) -> str:
        """Where a rank runs, if the user's options leave it to the toolkit's to spread them."""
        if not self._others:
            return self.name
        if _SPREADING.search(self._mpi.options):
            return f"of {self._first.host} or another"
        hosts = [self._first.host, *(member.host for member in self._others)]
        return hosts[min(rank // self._mpi.processes_per_host, len(hosts) - 1)]


class _MpirunProcess(PlannedProcess):
    @property
    def name(self) -> str:
        return "mpirun"


class _SshServerProcess(PlannedProcess):
    @property
    def name(self) -> str:
        return _SERVER


def mpirun(
    mpi: MpiSettings, script: Command, hosts: Sequence[str], interface: str
) -> tuple[str, ...]:
    """The command of the process that runs mpirun.

    Args:
        mpi: What the user says.
        script: The user's script.
        hosts: By name, this one first.
        interface: The network interface between them.
    """
    # So that an exception in one of them ends all.
    python = ("-m", "mpi4py") if is_python(script) else ()
    total = () if mpi.num_processes is None else ("--num-processes", str(mpi.num_processes))
    return (
        *(sys.executable, "-I", "-m", "trainer.sagemaker.mpi.mpirun"),
        *("--hosts", ",".join(hosts)),
        *("--interface", interface),
        *("--processes-per-host", str(mpi.processes_per_host)),
        *total,
        # Together, as they may begin like options of its own.
        f"--options={mpi.options}",
        f"--instance-type={mpi.instance_type}",
        "--",
        *(script.argv[0], *python, *script.argv[1:]),
    )


def _host_name() -> dict[str, str]:
    """What makes a process believe that its host has the name which SageMaker gives it.

    Containers may all have one name of their own. The toolkit tells the script's processes so; but
    mpirun and its daemons have to agree with them on who is on which host.
    """
    library = importlib.util.find_spec("gethostname")
    if library is None or not library.origin or not RESOURCES.exists():
        return {}
    return {"LD_PRELOAD": library.origin}


def is_python(script: Command) -> bool:
    """Whether a script is run by Python, rather than a shell or by itself."""
    return script.argv[0] == sys.executable


def check_names(job: Job) -> None:
    """Raise a UserError for a host that has a name which ssh and mpirun cannot take."""
    for member in plan.members(job):
        if member.address and not _NAME.fullmatch(member.host):
            raise UserError(
                subject="SM_HOSTS",
                problem=f"{member.host!r}: expected the name of a host",
            )
