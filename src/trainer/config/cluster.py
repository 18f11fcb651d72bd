"""Who takes part in a job, and which of them this process is."""

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
        chief: Its address, `host` or `host:port`; empty only where there is nobody else.
        worker: Addresses of those who train beside the chief.
        ps: Addresses of the parameter servers.
        evaluator: Addresses of the evaluators; platforms may leave them out.
        role: What this process is.
        index: Which one of its role.
        interface: The network interface to the others, or None for the system's choice.
        local_rank: Which of those who train on this host it is.
        local_size: How many train on this host.
        host_index: Which of the hosts that train this is, where `hosts` says how many they are.
        hosts: 0 where nobody says, so that they are told apart by their addresses.
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
        """This process's place among `trainers`; -1 if it is none."""
        if self.role == "chief":
            return 0
        return len(self.chief) + self.index if self.role == "worker" else -1

    @property
    def is_chief(self) -> bool:
        """Whether this process writes checkpoints, the model and the report."""
        return self.role == "chief" or (not self.chief and self.rank == 0)

    @property
    def host(self) -> tuple[int, int]:
        """Which of the hosts that train this is, from 0, and how many they are."""
        if self.hosts:
            return self.host_index, self.hosts
        names = [address.rpartition(":")[0] or address for address in self.trainers]
        hosts = list(dict.fromkeys(names))
        if self.rank < 0 or not names:
            return 0, 1
        if len(hosts) == len(names) and self.local_size > 1:
            # Ranks that mpirun started have no addresses: it numbers them host by host.
            return self.rank // self.local_size, -(-len(names) // self.local_size)
        return hosts.index(names[self.rank]), len(hosts)

    @property
    def size(self) -> int:
        """How many take part, this one included."""
        return max(1, sum(len(getattr(self, role)) for role in ROLES))

    @property
    def task(self) -> str:
        """What it is called: `worker 1`."""
        return f"{self.role} {self.index}"

    def to_json(self) -> str:
        """As text, for the environment of a process that is started as a part of it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Cluster:
        """The inverse of `to_json`."""
        fields: dict[str, Any] = json.loads(text)
        fields |= {role: tuple(fields[role]) for role in ROLES}
        return cls(**fields)

    def __str__(self) -> str:
        counts = ", ".join(f"{len(getattr(self, r))} {r}" for r in ROLES if getattr(self, r))
        return f"{self.task} of ({counts or 'one process'})"
