"""A process of the job, as every host plans it, and the address at which Horovod's ranks meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.config import Job, Role


@dataclass(frozen=True, kw_only=True)
class PlannedProcess:
    """One process of the job.

    Attributes:
        role: What it does.
        index: Its number among those of its role.
        member: The host that starts it, by `Member.id`.
        local_rank: Its number among the training processes of that host.
        local_size: The training processes of that host.
        rank: Its number among all training processes, or -1.
    """

    role: Role
    index: int
    member: str
    local_rank: int = 0
    local_size: int = 1
    rank: int = -1

    @property
    def name(self) -> str:
        """`rank 3` among equals, else `ps 0`."""
        if self.rank >= 0:
            return f"rank {self.rank}"
        return "chief" if self.role == "chief" else f"{self.role} {self.index}"


@dataclass(frozen=True, kw_only=True)
class RendezvousAddress:
    """The address at which the processes find each other.

    Attributes:
        ip: The address of the host where all meet, as this host reaches it.
        port: The port at that address.
        interface: The network interface to the others; None for the library's own choice.
    """

    ip: str
    port: int
    interface: str | None


@dataclass(frozen=True, kw_only=True)
class StorePlan:
    """The keys that the launcher's store of addresses accepts from Horovod's ranks.

    Attributes:
        places: A scope and a rank within it, for each connection that a process makes.
        late_sets: True if process sets may be made while the job runs.
    """

    places: tuple[tuple[str, int], ...]
    late_sets: bool = False


def exact_interface(interface: str) -> str:
    """Return an interface as NCCL wants it; a mere name means all that begin with it."""
    return f"={interface}"


def own_gpus(process: PlannedProcess, job: Job, env: Mapping[str, str], count: int) -> str:
    """Return CUDA_VISIBLE_DEVICES with a process's own share of this host's GPUs.

    Args:
        process: The process.
        job: The job, as this host sees it.
        env: The environment; a list of GPUs in it limits which ones there are.
        count: How many GPUs the process gets.
    """
    visible = env.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(job.gpus)))
    names = [name.strip() for name in visible.split(",")][: job.gpus]
    first = process.local_rank * count
    return ",".join(names[(first + i) % len(names)] for i in range(count))
