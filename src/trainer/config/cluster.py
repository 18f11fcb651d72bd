"""The hosts or processes of a job, and the place of this process among them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

TASK_VARIABLE = "TRAINER_TASK"
Role = Literal["chief", "worker", "ps", "evaluator"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The processes or hosts of a job, by role.

    Attributes:
        chief: The chief's address, `host` or `host:port`; empty in a job of one process.
        worker: Addresses of the workers, which train beside the chief.
        ps: Addresses of the parameter servers.
        evaluator: Addresses of the evaluators; platforms may leave them out.
        role: The role of this process.
        index: The number of this process in its role, from 0.
        interface: The network interface to the other hosts, or None for the system's choice.
        local_rank: The number of this process among those that train on its host, from 0.
        local_size: How many processes train on this host.
        host_index: The number of this host among those that train, where `hosts` is given.
        hosts: How many hosts train; 0 where it is unknown, and follows from the addresses.
    """

    chief: tuple[str, ...] = ()
    worker: tuple[str, ...] = ()
    ps: tuple[str, ...] = ()
    evaluator: tuple[str, ...] = ()
    role: Role = "chief"
    index: int = 0
    interface: str | None = None
    local_rank: int = 0
    local_size: int = 1
    host_index: int = 0
    hosts: int = 0

    @property
    def trainers(self) -> tuple[str, ...]:
        """The chief and the workers, in the order of their ranks."""
        return self.chief + self.worker

    @property
    def rank(self) -> int:
        """The number of this process among `trainers`, from 0; -1 if it does not train."""
        if self.role == "chief":
            return 0
        return len(self.chief) + self.index if self.role == "worker" else -1

    @property
    def is_chief(self) -> bool:
        """True if this process writes checkpoints, the model and the report."""
        return self.role == "chief" or (not self.chief and self.rank == 0)

    @property
    def host(self) -> tuple[int, int]:
        """The number of this host among those that train, from 0, and how many they are."""
        if self.hosts:
            return self.host_index, self.hosts
        names = [address.rpartition(":")[0] or address for address in self.trainers]
        hosts = list(dict.fromkeys(names))
        if self.rank < 0 or not names:
            return 0, 1
        if len(hosts) == len(names) and self.local_size > 1:
            # Processes that mpirun started have no addresses; mpirun numbers them host by host.
            return self.rank // self.local_size, -(-len(names) // self.local_size)
        return hosts.index(names[self.rank]), len(hosts)

    @property
    def size(self) -> int:
        """The number of processes or hosts of the job, this one included."""
        return max(1, sum(len(getattr(self, role)) for role in ROLES))

    @property
    def task(self) -> str:
        """Role and number of this process: `worker 1`."""
        return f"{self.role} {self.index}"

    def to_json(self) -> str:
        """Return the cluster as text, for the environment of a process that is started in it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Cluster:
        """Return the cluster that `to_json` has written."""
        fields: dict[str, Any] = json.loads(text)
        fields |= {role: tuple(fields[role]) for role in ROLES}
        return cls(**fields)

    def __str__(self) -> str:
        counts = ", ".join(f"{len(getattr(self, r))} {r}" for r in ROLES if getattr(self, r))
        return f"{self.task} of ({counts or 'one process'})"
