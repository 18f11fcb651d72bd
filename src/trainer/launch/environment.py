"""What each process of a job is told by its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from trainer.config import TASK_VARIABLE, Cluster, Job
from trainer.distribution import PlannedProcess, RendezvousAddress, spec_of
from trainer.platforms import SECRET_VARIABLE


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
    return spec_of(job).environment(process, planned, job, meeting=meeting, env=told)


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
