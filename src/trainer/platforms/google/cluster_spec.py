"""TF_CONFIG and CLUSTER_SPEC, in all forms that Google's services and Kubeflow write.

Sources: "Distributed training" and "CLUSTER_SPEC" in the Vertex AI documentation; the training
operator's `genClusterSpec` for TFJob.
"""

from __future__ import annotations

import json
from typing import Any

from trainer.config import ROLES, Cluster, Role, UserError
from trainer.platforms.base import Environment, expect

POOLS: dict[str, Role] = {f"workerpool{i}": role for i, role in enumerate(ROLES)}
# AI Platform's custom containers write `master` by default; TensorFlow 2 knows only `chief`.
NAMES: dict[str, Role] = {"master": "chief", **{role: role for role in ROLES}, **POOLS}


def read_cluster(environment: Environment) -> tuple[Cluster, str | None]:
    """Return the cluster, and the number of the tuning trial that the specification names.

    CLUSTER_SPEC comes first: Vertex sets it on every replica, TF_CONFIG only where there are
    several.

    Raises:
        UserError: The variable is not as documented, or this process is not in its own list.
    """
    for variable in ("CLUSTER_SPEC", "TF_CONFIG"):
        spec = environment.json(variable)
        if spec is not None:
            return _parse(expect(dict, spec, where=variable), where=variable)
    return Cluster(), None


def _parse(spec: dict[str, Any], *, where: str) -> tuple[Cluster, str | None]:
    task = expect(dict, spec.get("task") or {}, where=f"{where} task")
    trial = str(task["trial"]) if task.get("trial") else None
    members = _members_by_role(spec, task, where=where)
    count = sum(map(len, members.values()))
    if "type" not in task:
        if count > 1:
            raise UserError(
                subject=f"{where} task",
                problem="has no type, so that this process does not know its role among "
                f"{count}; expected one of {', '.join(NAMES)}",
            )
        return Cluster(), trial
    role = _role(task["type"], where=f"{where} task type")
    index = _index(task.get("index", 0), where=f"{where} task index")
    numbers = list(members.get(role, {}))
    # Google's services leave evaluators out of the cluster, Kubeflow lists them. A job of one
    # process may have no list.
    alone = not count and index == 0 and role in ("chief", "worker")
    if index not in numbers and not alone and (numbers or role != "evaluator"):
        raise UserError(
            subject=where,
            problem=f"this process is {role} {index}, but the cluster lists "
            f"{len(numbers) or 'none'} of them",
            remedy="each process has to be in its own list",
        )
    listed = {name: tuple(addresses.values()) for name, addresses in members.items()}
    cluster = Cluster(
        chief=listed.get("chief", ()),
        worker=listed.get("worker", ()),
        ps=listed.get("ps", ()),
        evaluator=listed.get("evaluator", ()),
        role=role,
        index=numbers.index(index) if index in numbers else index,
    )
    return cluster, trial


def _members_by_role(
    spec: dict[str, Any], task: dict[str, Any], *, where: str
) -> dict[str, dict[int, str]]:
    """Return the addresses of each role that is listed, by number."""
    if "sparseCluster" in spec:
        raise UserError(
            subject=f"{where} sparseCluster",
            problem="lists this process alone, as Kubeflow does for dynamic "
            "workers; expected all workers (for a TFJob: enableDynamicWorker: false)",
        )
    listed = spec.get("cluster") or {}
    pools = isinstance(listed, list) or (isinstance(listed, dict) and "worker_pools" in listed)
    if pools or "worker_pool_index" in task:
        raise UserError(
            subject=f"{where} cluster",
            problem="lists its pools; expected an object with one key a pool, "
            "workerpool0 and so on, as Vertex AI sets it",
        )
    members: dict[str, dict[int, str]] = {}
    for name, addresses in expect(dict, listed, where=f"{where} cluster").items():
        role = _role(name, where=f"{where} cluster")
        found = _numbered(addresses, where=f"{where} cluster {name}")
        if found and role in members:
            raise UserError(
                subject=f"{where} cluster",
                problem=f"lists {role} twice, once as {name}",
                remedy="name it once",
            )
        if role == "ps" and "reductionserver" in json.dumps(spec.get("job")):
            # The pool of Vertex AI's Reduction Server only adds up gradients for NCCL.
            continue
        if found:
            members[role] = found
    if len(members.get("chief", ())) > 1:
        raise UserError(
            subject=f"{where} cluster",
            problem=f"lists {len(members['chief'])} chiefs; expected one",
        )
    if "chief" not in members and members.get("worker") and 0 not in members["worker"]:
        raise UserError(
            subject=f"{where} cluster worker",
            problem="leaves out worker 0, who is the chief where none is listed; "
            "expected all workers (for a TFJob: enableDynamicWorker: false)",
        )
    return members


def _role(name: Any, *, where: str) -> Role:
    role = NAMES.get(expect(str, name, where=where).lower())
    if role is None:
        raise UserError(
            subject=where,
            problem=f"expected one of {', '.join(NAMES)}, found {name!r}",
        )
    return role


def _index(value: Any, *, where: str) -> int:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return expect(int, value, where=where)


def _numbered(addresses: Any, *, where: str) -> dict[int, str]:
    """Return addresses by number, from a list or from Kubeflow's sparse `{"1": "host:port"}`."""
    if isinstance(addresses, dict):
        if not all(key.isdecimal() for key in addresses):
            raise UserError(
                subject=where,
                problem=f"expected numbers as keys, found {', '.join(addresses)}",
            )
        pairs = sorted((int(key), address) for key, address in addresses.items())
    else:
        pairs = list(enumerate(expect(list, addresses, where=where)))
    return {number: expect(str, address, where=where) for number, address in pairs}
