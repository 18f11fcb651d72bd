"""The containers of a custom job, as Vertex AI starts them.

Sources: "Distributed training" for CLUSTER_SPEC and TF_CONFIG, "Environment variables for special
Cloud Storage directories" in the Vertex AI documentation; `EnvVar` of its API for `$(NAME)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from trainer.config import ROLES
from trainer.platforms.container_start import ContainerStart
from trainer.platforms.google.request import VertexRequest

# The service's own names of hosts, and the port at which they reach each other.
HOST = "cmle-training-workerpool{pool}-{job}-{index}"
PORT = 2222
JOB_ID, PROJECT_NUMBER = "987654321", "123456789"
# The value of one variable may name others; two `$` stand for one that names none.
_REFERENCE = re.compile(r"\$\$\(|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def vertex_containers(
    request: VertexRequest, *, job: str = "ab12cd34"
) -> tuple[ContainerStart, ...]:
    """Return the start of each replica, the chief first.

    Args:
        request: A custom job.
        job: What stands for the job in the names of its hosts.
    """
    return tuple(
        vertex_container(request, pool, index, job=job)
        for pool, spec in enumerate(request.spec["workerPoolSpecs"])
        for index in range(spec.get("replicaCount", 0))
    )


def vertex_container(
    request: VertexRequest, pool: int, index: int, *, job: str = "ab12cd34",
    trial: Mapping[str, Any] | None = None,
) -> ContainerStart:  # fmt: skip
    """Return the start of one replica.

    Args:
        request: A custom job, or a tuning job.
        pool: The number of its pool.
        index: Its number in the pool.
        job: What stands for the job in the names of its hosts.
        trial: The values of a trial of a tuning job, by the names of the parameters.
    """
    spec = request.spec
    own = spec["workerPoolSpecs"][pool]["containerSpec"]
    hosts = {
        number: [f"{HOST.format(pool=number, job=job, index=i)}:{PORT}" for i in range(count)]
        for number, count in enumerate(p.get("replicaCount", 0) for p in spec["workerPoolSpecs"])
        if count
    }
    env = _variables(spec, hosts, pool, index, trial="1" if trial else None)
    for each in own.get("env", ()):
        env[each["name"]] = _expanded(each["value"], env)
    # A trial's values come as flags, behind the job's own.
    values = [word for name, value in (trial or {}).items() for word in (f"--{name}", str(value))]
    # Cloud Storage, as the service mounts it.
    base = spec["baseOutputDirectory"]["outputUriPrefix"].removeprefix("gs://").rstrip("/")
    return ContainerStart(
        # Its name in Cloud Logging; the host has another.
        name=f"workerpool{pool}-{index}",
        aliases=(hosts[pool][index].partition(":")[0],),
        env=env,
        argv=(*own.get("args", ()), *values),
        outputs={f"/gcs/{base}": ""},
        shared=(f"/gcs/{base.partition('/')[0]}",),
    )


def _variables(
    spec: Mapping[str, Any], hosts: Mapping[int, list[str]], pool: int, index: int, *,
    trial: str | None,
) -> dict[str, str]:  # fmt: skip
    """Return the service's own variables."""
    base = spec["baseOutputDirectory"]["outputUriPrefix"].rstrip("/")
    base = f"{base}/{trial}" if trial else base
    number = {"trial": trial} if trial else {}
    cluster = {
        "cluster": {f"workerpool{n}": addresses for n, addresses in hosts.items()},
        "environment": "cloud",
        "task": {"type": f"workerpool{pool}", "index": index, **number},
        "job": spec,
    }
    env = {
        "CLUSTER_SPEC": json.dumps(cluster),
        "CLOUD_ML_PROJECT_ID": PROJECT_NUMBER,
        "CLOUD_ML_JOB_ID": JOB_ID,
        "AIP_MODEL_DIR": f"{base}/model/",
        "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
    }
    if sum(map(len, hosts.values())) > 1:
        # On jobs of several replicas only; evaluators are in no list.
        known = {ROLES[n]: addresses for n, addresses in hosts.items() if ROLES[n] != "evaluator"}
        task = {"type": ROLES[pool], "index": index, "cloud": "x1", **number}
        env["TF_CONFIG"] = json.dumps(
            {"cluster": known, "task": task, "job": spec, "environment": "cloud"}
        )
    if trial:
        env["CLOUD_ML_TRIAL_ID"] = trial
    return env


def _expanded(value: str, env: Mapping[str, str]) -> str:
    """Return a value with the variables that it names; unknown ones stay as they are."""

    def of(found: re.Match[str]) -> str:
        name = found[1]
        return "$(" if name is None else env.get(name, found[0])

    return _REFERENCE.sub(of, value)
