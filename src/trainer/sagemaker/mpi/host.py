"""This host in a job whose processes mpirun starts.

The first host runs mpirun. Each other host runs an ssh server, through which mpirun starts its
ranks there. The launchers of the hosts meet as in any other job (`launch/launcher.py`): that way
they exchange public keys, learn of failures, and learn that mpirun is done.
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
from trainer.config import UserError
from trainer.distribution import PlannedProcess
from trainer.launch import (
    Command,
    CoordinatorClient,
    HostAgent,
    HostCommands,
    HostGroup,
    HostSettings,
    LocalHost,
    Start,
    Timeouts,
    free_ports,
    interface_of,
    public_value,
)
from trainer.platforms import SECRET_VARIABLE
from trainer.sagemaker.mpi import ssh
from trainer.sagemaker.mpi.mpi_agent import MpiAgent

AGENT = "OMPI_MCA_plm_rsh_agent"
# Read by the library that the toolkit preloads, which fails if the file does not exist.
RESOURCES = Path("/opt/ml/input/config/resourceconfig.json")
_SERVER = "ssh server"
# Matches mpirun's options that spread the ranks: --map-by, --rankfile, --hostfile, -npernode …
_SPREADING = re.compile(r"map|rank|host|node|-H\b|ppr")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class MpiSettings:
    """The user's settings for mpirun.

    Attributes:
        group: The hosts that take part.
        processes_per_host: How many ranks mpirun starts on each host.
        num_processes: How many it starts in all; None for `processes_per_host` on every host.
        options: More options of mpirun's, separated by blanks.
        instance_type: The type of the hosts, for which the toolkit sets options for the network.
    """

    group: HostGroup
    processes_per_host: int
    num_processes: int | None = None
    options: str = ""
    instance_type: str = ""


class MpiHost(LocalHost):
    """This host: its keys for ssh, and mpirun or the ssh server.

    Args:
        mpi: The user's settings.
        script: The user's script.
        folder: A private folder for keys and settings.
    """

    def __init__(self, mpi: MpiSettings, script: Command, folder: Path) -> None:
        # mpirun gives ranks a terminal, to which Python writes whole lines. Unbuffered it would
        # write parts of lines, and mpirun would put its tags between them.
        left_out = ("PYTHONUNBUFFERED", SECRET_VARIABLE)
        env = {k: v for k, v in script.env.items() if k not in left_out}
        super().__init__(mpi.group, dataclasses.replace(script, env=env))
        self._mpi = mpi
        self._folder = folder
        self._first, *self._others = mpi.group.members

    def settings(self) -> HostSettings:
        """Return what has to be the same on all hosts; the trainer's flags are not for a script."""
        return HostSettings(
            host=f"{self.name} ({self.member.task})",
            values={
                "trainer": public_value(__version__),
                "hosts": public_value(len(self.group.members)),
            },
        )

    def make_keys(self) -> None:
        """Create this host's key, and the metadata for the others.

        Raises:
            UserError: It cannot be made.
        """
        if not self._others:
            return
        if self.group.is_first:
            self.metadata = {"user": ssh.make_key_pair(self._folder / "user")}
        else:
            key = ssh.make_key_pair(self._folder / "host")
            (port,) = free_ports(1)
            server = ssh.SshServer(key=key, port=port)
            self.metadata = {**server.to_dict(), "interface": self.group.interface}

    def agent(self, client: CoordinatorClient, timeouts: Timeouts) -> HostAgent:
        """Return what decides for the process of this host."""
        return MpiAgent(
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
            UserError: The metadata of another host is malformed.
        """
        if self.group.is_first:
            process: PlannedProcess = _MpirunProcess(role="chief", index=0, member=self.member.id)
            command = self._mpirun(start)
        else:
            process = _SshServerProcess(
                role="worker", index=self.member.index, member=self.member.id
            )
            command = self._server(start.metadata)
        return HostCommands(commands=((process, command),), prefix=False)

    def _server(self, metadata: Mapping[str, Any]) -> Command:
        client = ssh.checked_public_key(metadata[self._first.id].get("user"), host=self._first.host)
        env = {**self.base.env, **_host_name()}
        argv = ssh.write_server_settings(
            self._folder, port=self.metadata["port"], client=client, env=env
        )
        return Command(argv=argv, env=self.base.env, name=_SERVER)

    def _mpirun(self, start: Start) -> Command:
        # The toolkit has mpirun pass this variable on, and mpirun warns if it is not set.
        env = {"LD_LIBRARY_PATH": "", **self.base.env, **_host_name()}
        names = ["localhost"]
        if self._others:
            metadata = {member.host: start.metadata[member.id] for member in self._others}
            servers = {
                host: ssh.SshServer.from_dict(each, host=host) for host, each in metadata.items()
            }
            env[AGENT] = shlex.join(ssh.write_client_settings(self._folder, servers))
            names = [self._first.host, *metadata]
            interface = self._interface(start, metadata)
        else:
            interface = self.group.interface or "lo"
            # Otherwise mpirun fails if there is no ssh, although it does not need it here.
            env.setdefault("OMPI_MCA_plm", "isolated")
        return dataclasses.replace(
            self.base, argv=mpirun(self._mpi, self.base, names, interface), env=env, name="mpirun"
        )

    def _interface(self, start: Start, metadata: Mapping[str, Any]) -> str:
        """Return the network interface between the hosts; mpirun needs one name for all.

        Raises:
            UserError: The names differ.
        """
        reached_at = start.reached_at
        own = self.group.interface or (interface_of(reached_at) if reached_at else None)
        for host, each in metadata.items():
            if not own or each.get("interface") not in (None, own):
                raise UserError(
                    subject="network interface",
                    problem=f"{self._first.host} has {own}, {host} has {each.get('interface')}",
                    remedy="mpirun needs one name on all hosts",
                )
        return str(own)

    def _host_of(self, rank: int) -> str:
        """Return the host of a rank; it is known unless the user's options spread the ranks."""
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
    """Return the command of the process that runs mpirun.

    Args:
        mpi: The user's settings.
        script: The user's script.
        hosts: The names of the hosts, this one first.
        interface: The network interface between the hosts.
    """
    # Makes an exception in one rank end all ranks.
    python = ("-m", "mpi4py") if is_python(script) else ()
    total = () if mpi.num_processes is None else ("--num-processes", str(mpi.num_processes))
    return (
        *(sys.executable, "-I", "-m", "trainer.sagemaker.mpi.mpirun"),
        *("--hosts", ",".join(hosts)),
        *("--interface", interface),
        *("--processes-per-host", str(mpi.processes_per_host)),
        *total,
        # With `=`, as the values may begin with a dash.
        f"--options={mpi.options}",
        f"--instance-type={mpi.instance_type}",
        "--",
        *(script.argv[0], *python, *script.argv[1:]),
    )


def _host_name() -> dict[str, str]:
    """Return the variables by which a process takes SageMaker's name for the name of its host.

    All containers may have the same name. The toolkit sets these variables for the ranks; mpirun
    and its daemons need them too, to agree with the ranks about which host each rank is on.
    """
    library = importlib.util.find_spec("gethostname")
    if library is None or not library.origin or not RESOURCES.exists():
        return {}
    return {"LD_PRELOAD": library.origin}


def is_python(script: Command) -> bool:
    """Return whether a script is run by Python, rather than by a shell or by itself."""
    return script.argv[0] == sys.executable


def check_names(group: HostGroup) -> None:
    """Raise a UserError for a host whose name ssh and mpirun cannot take."""
    for member in group.members:
        if member.address and not _NAME.fullmatch(member.host):
            raise UserError(
                subject="SM_HOSTS", problem=f"{member.host!r}: expected the name of a host"
            )
