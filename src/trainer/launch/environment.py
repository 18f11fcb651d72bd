"""What each process of a job is told by its environment."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trainer.config import TASK_VARIABLE, Cluster, Job
from trainer.launch.plan import PlannedProcess
from trainer.platforms import SECRET_VARIABLE


@dataclass(frozen=True, kw_only=True)
class RendezvousAddress:
    """Where Horovod's ranks find each other.

    Attributes:
        ip: Of the host where all meet, as this host reaches it.
        port: There.
        interface: The network interface to the others; None for Horovod's choice.
    """

    ip: str
    port: int
    interface: str | None


def horovod(
    process: PlannedProcess, planned: Sequence[PlannedProcess], job: Job, meeting: RendezvousAddress
) -> dict[str, str]:
    """The variables by which Horovod's Gloo controller starts without any launcher of its own.

    Contract: `horovod/common/gloo/gloo_context.cc` and `common.h`; reference §2.2.
    """
    sizes: dict[str, int] = {p.member: p.local_size for p in planned}
    hosts = [host for host, size in sizes.items() if size > process.local_rank]
    told = {
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
        told["HOROVOD_TIMELINE"] = job.timeline
    if job.autotune:
        told["HOROVOD_AUTOTUNE"] = "1"
    if job.autotune_log:
        told["HOROVOD_AUTOTUNE_LOG"] = job.autotune_log
    return told


def horovod_places(planned: Sequence[PlannedProcess]) -> Iterator[tuple[str, int]]:
    """Yield where the processes connect to each other: in which scopes, and as which rank there."""
    # Hosts come one after the other, each with every local rank once.
    across: Counter[int] = Counter()
    for process in planned:
        yield "global", process.rank
        yield f"local_{process.member}", process.local_rank
        yield f"cross_{process.local_rank}", across[process.local_rank]
        across[process.local_rank] += 1


def horovod_defaults(job: Job, meeting: RendezvousAddress) -> dict[str, str]:
    """Horovod's settings where the user has none of their own."""
    told = {
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        # Its own 30 s are short where one host still compiles while another waits.
        "HOROVOD_GLOO_TIMEOUT_SECONDS": "300",
        # By itself it only warns of a rank that hangs. The chief may be sending a checkpoint.
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "1800",
    }
    if not job.autotune:
        # All gradients come at once, so that there is nothing to gather in cycles: they are for
        # ranks without any, see docker/horovod/7-wake-on-enqueue.patch. One given is not tuned.
        told |= {"HOROVOD_WAKE_ON_ENQUEUE": "1", "HOROVOD_CYCLE_TIME": "50"}
    if meeting.interface:
        told["HOROVOD_GLOO_IFACE"] = meeting.interface
        told["NCCL_SOCKET_IFNAME"] = _only(meeting.interface)
    return told


def environment(
    process: PlannedProcess,
    planned: Sequence[PlannedProcess],
    job: Job,
    *,
    cluster: Cluster,
    meeting: RendezvousAddress,
    env: Mapping[str, str],
) -> dict[str, str]:
    """The whole environment of a process.

    Args:
        process: Which one.
        planned: All of them.
        job: As this host sees it.
        cluster: Their addresses.
        meeting: Where Horovod's ranks find each other.
        env: The launcher's own environment; settings of Horovod and NCCL in it count.
    """
    # Several of them may have one address, so that it does not tell them apart.
    hosts = list(dict.fromkeys(p.member for p in planned if p.role in ("chief", "worker")))
    training = process.member in hosts
    task = Cluster(
        chief=cluster.chief,
        worker=cluster.worker,
        ps=cluster.ps,
        # So that the chief knows whether somebody else evaluates.
        evaluator=job.cluster.evaluator,
        role=process.role,
        index=process.index,
        interface=meeting.interface,
        local_rank=process.local_rank,
        local_size=process.local_size,
        host_index=hosts.index(process.member) if training else 0,
        hosts=len(hosts) if training else 0,
    )
    # The secret is for launchers.
    told = {name: value for name, value in env.items() if name != SECRET_VARIABLE}
    told |= {TASK_VARIABLE: task.to_json(), "PYTHONUNBUFFERED": "1"}
    if "TF_CONFIG" in env:
        told["TF_CONFIG"] = _without_cluster(env["TF_CONFIG"])
    if job.distribution == "horovod":
        told = {**horovod_defaults(job, meeting), **told, **horovod(process, planned, job, meeting)}
    if job.distribution == "parameter_server":
        told.setdefault("GRPC_FAIL_FAST", "use_caller")
        if process.role in ("chief", "ps"):
            # They do not compute; TensorFlow would take all memory of every GPU it sees.
            told["CUDA_VISIBLE_DEVICES"] = "-1"
        elif process.role == "worker" and job.gpus > 1:
            # One with several would compute the same batch on each of them.
            told["CUDA_VISIBLE_DEVICES"] = _gpus(process, job, env, 1)
    if job.distribution == "multi_worker_mirrored":
        if meeting.interface:
            told.setdefault("NCCL_SOCKET_IFNAME", _only(meeting.interface))
        if job.gpus and process.local_size > 1:
            # Each would take all that it sees; NCCL wants every GPU once.
            share = max(1, job.gpus // process.local_size)
            told["CUDA_VISIBLE_DEVICES"] = _gpus(process, job, env, share)
    return told


def _only(interface: str) -> str:
    """A network interface as NCCL wants it: it takes a mere name for how others begin, too."""
    return f"={interface}"


def _gpus(process: PlannedProcess, job: Job, env: Mapping[str, str], count: int) -> str:
    """So many of this host's GPUs, others for each process, as CUDA_VISIBLE_DEVICES has them."""
    visible = env.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(job.gpus)))
    names = [name.strip() for name in visible.split(",")][: job.gpus]
    first = process.local_rank * count
    return ",".join(names[(first + i) % len(names)] for i in range(count))


def _without_cluster(text: str) -> str:
    """A TF_CONFIG from which TensorFlow's own resolvers take no hosts.

    The platform is still known by it, and the number of the tuning trial.
    """
    try:
        told = json.loads(text)
        task = told.get("task") or {}
        kept = {"environment": told.get("environment"), "task": {"trial": task.get("trial")}}
    except (ValueError, AttributeError):
        kept = {}
    return json.dumps(kept)
