"""Give a user's script TF_CONFIG and a parameter server, as SageMaker's switches promise it.

Variable, ports and roles are those of AWS's TensorFlow training toolkit
(`sagemaker_tensorflow_container/training.py`), so that a script finds here what it finds in AWS's
image. Two things differ: the server's process ends with the script, where the toolkit's never does,
and nothing waits for a master that does not listen.
"""

from __future__ import annotations

import dataclasses
import json
import math
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.launch import Command, ManagedProcess, Policy, ProcessControl
from trainer.platforms import (
    MULTI_WORKER_MIRRORED,
    PARAMETER_SERVER,
    Environment,
    active_switch,
    framework_parameters,
    sagemaker,
)

SERVER = "parameter server"
# The toolkit's ports.
_MASTER_PORT, _PS_PORT, _WORKER_PORT = 2222, 2223, 8890
# Seconds for the server to end once the script has ended: it has nothing to save.
_SERVER_GRACE = 2.0
# Seconds between attempts to connect to the master, and for each attempt.
_LOOK, _ATTEMPT = 1.0, 2.0


@dataclass(frozen=True, kw_only=True)
class ScriptCluster:
    """The processes of a user's distributed script, as this host sees them.

    Attributes:
        cluster: Addresses by role, as TF_CONFIG lists them.
        role: What the script is on this host.
        index: Which one of its role.
        server: The index of the parameter server on this host; None where there are none.
    """

    cluster: Mapping[str, Sequence[str]]
    role: str
    index: int
    server: int | None = None

    def tf_config(self, role: str, index: int) -> str:
        """Return TF_CONFIG for one process."""
        task = {"type": role, "index": index}
        return json.dumps({"cluster": self.cluster, "environment": "cloud", "task": task})

    def commands(self, script: Command) -> list[Command]:
        """Return the commands of this host: the parameter server, if any, and the script.

        Args:
            script: The user's script, which has no TF_CONFIG yet.
        """
        own = {**script.env, "TF_CONFIG": self.tf_config(self.role, self.index)}
        commands = [dataclasses.replace(script, env=own)]
        if self.server is not None:
            # Variables live in memory; the GPUs are the script's.
            env = {
                **script.env,
                "TF_CONFIG": self.tf_config("ps", self.server),
                "CUDA_VISIBLE_DEVICES": "",
            }
            argv = (sys.executable, "-m", "trainer.sagemaker.script_server")
            commands.insert(0, Command(argv=argv, env=env, cwd=script.cwd, name=SERVER))
        return commands

    def policy(self) -> Policy:
        """Return what decides when one of these processes ends."""
        if self.server is None:
            return Policy()
        return _ServerBesideScript(None if self.role == "master" else self.cluster["master"][0])


def read(environment: Environment) -> ScriptCluster | None:
    """Return the cluster of the user's script, or None if it runs by itself.

    Args:
        environment: What the platform gives, with the SM_ variables.

    Raises:
        UserError: A switch or variable is malformed, or this image has no program for it.
    """
    switch = active_switch(framework_parameters(environment))
    found = sagemaker.hosts.read_cluster(environment)
    hosts = found.trainers
    if not hosts or switch not in (PARAMETER_SERVER, MULTI_WORKER_MIRRORED):
        return None
    rank = found.rank
    if switch == MULTI_WORKER_MIRRORED:
        return ScriptCluster(
            cluster={"worker": _at(hosts, _WORKER_PORT)}, role="worker", index=rank
        )
    if len(hosts) == 1:
        return None
    cluster: dict[str, Any] = {
        "master": _at(hosts[:1], _MASTER_PORT),
        "worker": _at(hosts[1:], _MASTER_PORT),
        "ps": _at(hosts, _PS_PORT),
    }
    role, index = ("worker", rank - 1) if rank else ("master", 0)
    return ScriptCluster(cluster=cluster, role=role, index=index, server=rank)


class _ServerBesideScript(Policy):
    """End the parameter server when no script needs it any more.

    The master's script may use the servers of all hosts until it ends, so a worker's host keeps
    its server running while the master listens.

    Args:
        master: Address of the master; None on its own host.
    """

    def __init__(self, master: str | None) -> None:
        self._master = master

    def on_exit(self, control: ProcessControl, process: ManagedProcess) -> None:
        """End what is left, or wait for the master."""
        if process.name == SERVER:
            if not process.terminating:
                control.fail(process)
        elif process.code:
            control.fail(process)
        elif self._master is None:
            control.terminate(_SERVER_GRACE)
        elif control.running:
            control.log(f"the script has ended; its {SERVER} stays while {self._master} listens")
            self.deadline = time.monotonic()

    def on_deadline(self, control: ProcessControl) -> None:
        """Look whether the master still listens."""
        if self._master and _listens(self._master):
            self.deadline = time.monotonic() + _LOOK
        else:
            self.deadline = math.inf
            control.terminate(_SERVER_GRACE)


def _at(hosts: Sequence[str], port: int) -> list[str]:
    return [f"{host}:{port}" for host in hosts]


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_ATTEMPT):
            return True
    except OSError:
        return False
