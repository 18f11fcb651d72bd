"""The environment variables of each process of a job."""

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
    """Return the whole environment of a process.

    Args:
        process: The process.
        planned: All processes of the job.
        job: As this host sees it.
        cluster: The addresses of all processes.
        meeting: The address at which Horovod's ranks find each other.
        env: The launcher's own environment; the user's settings of Horovod and NCCL in it stay.
    """
    # By member and not by address, as several hosts may be listed with one address.
    hosts = list(dict.fromkeys(p.member for p in planned if p.role in ("chief", "worker")))
    training = process.member in hosts
    task = Cluster(
        chief=cluster.chief,
        worker=cluster.worker,
        ps=cluster.ps,
        # The chief evaluates by itself if there is no evaluator.
        evaluator=job.cluster.evaluator,
        role=process.role,
        index=process.index,
        interface=meeting.interface,
        local_rank=process.local_rank,
        local_size=process.local_size,
        host_index=hosts.index(process.member) if training else 0,
        hosts=len(hosts) if training else 0,
    )
    # Only launchers need the secret.
    variables = {name: value for name, value in env.items() if name != SECRET_VARIABLE}
    variables |= {TASK_VARIABLE: task.to_json(), "PYTHONUNBUFFERED": "1"}
    if "TF_CONFIG" in env:
        variables["TF_CONFIG"] = _without_cluster(env["TF_CONFIG"])
    return spec_of(job).environment(process, planned, job, meeting=meeting, env=variables)


def _without_cluster(text: str) -> str:
    """Return a TF_CONFIG in which TensorFlow's own resolvers find no hosts.

    It keeps what identifies the platform, and the number of the tuning trial.
    """
    try:
        config = json.loads(text)
        task = config.get("task") or {}
        kept = {"environment": config.get("environment"), "task": {"trial": task.get("trial")}}
    except (ValueError, AttributeError):
        kept = {}
    return json.dumps(kept)
