"""TF_CONFIG and CLUSTER_SPEC, in all the shapes that Google's services and Kubeflow give them.

Sources: "Distributed training" and "CLUSTER_SPEC" in the Vertex AI documentation; the training
operator's `genClusterSpec` for TFJob.
"""

from __future__ import annotations

from typing import Any

from trainer.cluster import ROLES, Cluster, Role
from trainer.errors import UserError
from trainer.platforms.base import Seen, expect

POOLS: dict[str, Role] = {f"workerpool{i}": role for i, role in enumerate(ROLES)}
# AI Platform's custom containers say `master` unless asked otherwise; TensorFlow 2 only `chief`.
NAMES: dict[str, Role] = {"master": "chief", **{role: role for role in ROLES}}


def read_cluster(seen: Seen) -> tuple[Cluster, str | None]:
    """Who takes part, and the tuning trial that the specification names.

    CLUSTER_SPEC comes first: Vertex sets it on every replica, TF_CONFIG only where there are
    several.

    Raises:
        UserError: The variable is not as documented, or this process is not in its own list.
    """
    for variable, names in (("CLUSTER_SPEC", POOLS), ("TF_CONFIG", NAMES)):
        spec = seen.json(variable)
        if spec is not None:
            return _parse(expect(dict, spec, where=variable), names, where=variable)
    return Cluster(), None


def _parse(
    spec: dict[str, Any], names: dict[str, Role], *, where: str
) -> tuple[Cluster, str | None]:
    task = expect(dict, spec.get("task", {}), where=f"{where} task")
    listed = expect(dict, spec.get("cluster", {}), where=f"{where} cluster")
    if "worker_pools" in listed or "worker_pool_index" in task:
        raise UserError(
            f"{where}: lists its pools under 'worker_pools'; expected one key a pool, "
            "'workerpool0' and so on, as Vertex AI sets it"
        )
    addresses: dict[str, list[tuple[int, str]]] = {}
    for name, members in listed.items():
        role = _role(name, names, where=f"{where} cluster")
        addresses[role] = _members(members, where=f"{where} cluster {name}")
    trial = str(task["trial"]) if task.get("trial") else None
    if "type" not in task:
        if len(addresses) > 1:
            raise UserError(f"{where} task: has no 'type', so this process does not know its role")
        return Cluster(), trial
    role = _role(
        expect(str, task["type"], where=f"{where} task type"), names, where=f"{where} task"
    )
    index = task.get("index", 0)
    if isinstance(index, str) and index.isdigit():
        index = int(index)
    expect(int, index, where=f"{where} task index")
    numbers = [number for number, _ in addresses.get(role, [])]
    # Google leaves evaluators out of the cluster, Kubeflow lists them.
    if index not in numbers and (numbers or role != "evaluator") and addresses:
        raise UserError(
            f"{where}: this process is {role} {index}, but the cluster lists {len(numbers)} of them"
        )
    members = {name: tuple(a for _, a in pairs) for name, pairs in addresses.items()}
    cluster = Cluster(
        chief=members.get("chief", ()),
        worker=members.get("worker", ()),
        ps=members.get("ps", ()),
        evaluator=members.get("evaluator", ()),
        role=role,
        index=numbers.index(index) if index in numbers else index,
    )
    return cluster, trial


def _role(name: str, names: dict[str, Role], *, where: str) -> Role:
    if name.lower() not in names:
        raise UserError(f"{where}: no role {name!r}, expected {', '.join(names)}")
    return names[name.lower()]


def _members(members: Any, *, where: str) -> list[tuple[int, str]]:
    """Numbered addresses: a list, or Kubeflow's sparse `{"1": "host:port"}`."""
    if isinstance(members, dict):
        if not all(key.isdigit() for key in members):
            raise UserError(f"{where}: expected numbers as keys, found {sorted(members)}")
        pairs = sorted((int(key), address) for key, address in members.items())
    else:
        pairs = list(enumerate(expect(list, members, where=where)))
    for _, address in pairs:
        expect(str, address, where=where)
    return pairs
