"""`--distribution horovod`: one process for each GPU, started without mpirun.

The launcher sets the variables by which Horovod's ranks find each other through Gloo; it keeps the
store in which they leave their addresses.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.config import Job, UserError
from trainer.distribution.planned_process import (
    PlannedProcess,
    RendezvousAddress,
    StorePlan,
    exact_interface,
)
from trainer.distribution.spec import StrategySpec

if TYPE_CHECKING:
    from trainer.distribution.strategy import Strategy


class HorovodSpec(StrategySpec):
    """Equal processes, one for each GPU, whose gradients Horovod sums."""

    uses_nccl = True
    numbered_by_mpi = True
    starts_runtime = True
    packages = ("Horovod",)
    sagemaker_switch = "sagemaker_mpi_enabled"

    def default_processes(self, job: Job) -> int:
        return max(1, job.gpus)

    def check(self, job: Job, processes: int) -> None:
        if importlib.util.find_spec("horovod") is None:
            raise UserError(
                subject="--distribution horovod",
                problem="Horovod is not installed",
                remedy="use the trainer's image, or run `make horovod`, or set "
                "--distribution multi_worker_mirrored",
            )
        super().check(job, processes)

    def gpus_per_process(self, job: Job, processes: int) -> int | None:
        return min(1, job.gpus)

    def environment(
        self,
        process: PlannedProcess,
        planned: Sequence[PlannedProcess],
        job: Job,
        *,
        meeting: RendezvousAddress,
        env: Mapping[str, str],
    ) -> dict[str, str]:
        own = rank_variables(process, planned, job, meeting)
        return {**default_variables(job, meeting), **env, **own}

    def store_plan(
        self, planned: Sequence[PlannedProcess], env: Mapping[str, str]
    ) -> StorePlan | None:
        late = env.get("HOROVOD_DYNAMIC_PROCESS_SETS", "0") not in ("", "0")
        return StorePlan(places=tuple(store_places(planned)), late_sets=late)

    def gpu_index(self, job: Job) -> int | None:
        return job.cluster.local_rank

    def make(self, job: Job) -> Strategy:
        from trainer.distribution.horovod_tf import make

        return make(job)


def rank_variables(
    process: PlannedProcess, planned: Sequence[PlannedProcess], job: Job, meeting: RendezvousAddress
) -> dict[str, str]:
    """Return the variables by which Horovod's Gloo controller starts without mpirun.

    Contract: `horovod/common/gloo/gloo_context.cc` and `common.h` in Horovod's sources.
    """
    sizes: dict[str, int] = {p.member: p.local_size for p in planned}
    hosts = [host for host, size in sizes.items() if size > process.local_rank]
    variables = {
        "HOROVOD_HOSTNAME": process.member,
        "HOROVOD_RANK": str(process.rank),
        "HOROVOD_SIZE": str(len(planned)),
        "HOROVOD_LOCAL_RANK": str(process.local_rank),
        "HOROVOD_LOCAL_SIZE": str(process.local_size),
        "HOROVOD_CROSS_RANK": str(hosts.index(process.member)),
        "HOROVOD_CROSS_SIZE": str(len(hosts)),
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": meeting.ip,
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(meeting.port),
    }
    if job.timeline:
        variables["HOROVOD_TIMELINE"] = job.timeline
    if job.autotune:
        variables["HOROVOD_AUTOTUNE"] = "1"
    if job.autotune_log:
        variables["HOROVOD_AUTOTUNE_LOG"] = job.autotune_log
    return variables


def store_places(planned: Sequence[PlannedProcess]) -> Iterator[tuple[str, int]]:
    """Yield for each connection between ranks the scope in Horovod's store, and the rank in it."""
    # The plan lists hosts one after the other, and every local rank of a host once.
    across: Counter[int] = Counter()
    for process in planned:
        yield "global", process.rank
        yield f"local_{process.member}", process.local_rank
        yield f"cross_{process.local_rank}", across[process.local_rank]
        across[process.local_rank] += 1


def default_variables(job: Job, meeting: RendezvousAddress) -> dict[str, str]:
    """Return Horovod's settings where the user has none of their own."""
    variables = {
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        # Horovod's default of 30 s is too short where one host still compiles while another waits.
        "HOROVOD_GLOO_TIMEOUT_SECONDS": "300",
        # By default Horovod only warns of a rank that hangs. Half an hour leaves the chief time to
        # send a checkpoint.
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "1800",
    }
    if not job.autotune:
        # Horovod gathers gradients in cycles, but here all come at once: wake its thread when they
        # do (docker/horovod/7-wake-on-enqueue.patch) and let cycles be rare. Autotune would leave
        # a cycle time alone that is given.
        variables |= {"HOROVOD_WAKE_ON_ENQUEUE": "1", "HOROVOD_CYCLE_TIME": "50"}
    if meeting.interface:
        variables["HOROVOD_GLOO_IFACE"] = meeting.interface
        variables["NCCL_SOCKET_IFNAME"] = exact_interface(meeting.interface)
    return variables
