"""The pods of a job, by the names and numbers that Kubernetes' controllers give them.

Contracts: "Indexed" completion mode of a Job in the Kubernetes documentation (JOB_COMPLETION_INDEX,
pods called `JOB-INDEX`); "Pod's hostname and subdomain fields" there, and the kubelet's lines in
/etc/hosts; the labels of JobSet, whose pods are called `JOBSET-REPLICATEDJOB-JOBINDEX-INDEX`; the
PET_ variables of Kubeflow Trainer's torch runtimes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trainer.config import ROLES, Cluster, Role, UserError
from trainer.platforms.base import Environment
from trainer.runtime import shortened

INDEX = "JOB_COMPLETION_INDEX"
PODS, SERVICE = "TRAINER_PODS", "TRAINER_SERVICE"
JOBSET, REPLICATED_JOB, JOB_INDEX = "JOBSET_NAME", "REPLICATED_JOB_NAME", "JOB_INDEX"
NODES = "PET_NNODES"
# Far more pods than share one job's steps.
MOST = 10_000
_GROUP = re.compile(r"([a-z0-9-]+)=([0-9]{1,9})(?:x([0-9]{1,9}))?")


@dataclass(frozen=True, kw_only=True)
class PodGroup:
    """Pods that do the same.

    Attributes:
        name: The role, and in a JobSet the replicated job; empty where all pods do the same.
        jobs: How many Jobs of a JobSet they are in.
        pods: How many pods each of these has.
    """

    name: str
    jobs: int
    pods: int


def read_pods(environment: Environment) -> Cluster | None:
    """Return the pods of the job; None where nothing says how many there are.

    Raises:
        UserError: A variable is malformed, or the pods cannot find each other.
    """
    groups = _groups(environment)
    if groups is None:
        return None
    index = _number(environment, INDEX)
    host, service = _own_name(environment)
    jobset = environment.env.get(JOBSET)
    if jobset and groups[0].name:
        names = [
            [f"{jobset}-{group.name}-{job}-{pod}" for job in range(group.jobs)
             for pod in range(group.pods)]
            for group in groups
        ]  # fmt: skip
        own, number = _place_in_jobset(environment, groups, index)
    else:
        names, own, number = _names_by_index(groups, host, index)
    count = sum(map(len, names))
    if count > 1 and not service:
        raise UserError(
            subject=f"{PODS if PODS in environment.env else NODES}={count}",
            problem="the pods cannot find each other, as this one has no subdomain",
            remedy="make a headless Service, and name it in the pod template's `subdomain`",
        )
    addresses = [tuple(f"{name}.{service}" if service else name for name in each) for each in names]
    return _cluster(groups, addresses, own, number)


def _groups(environment: Environment) -> tuple[PodGroup, ...] | None:
    """Parse TRAINER_PODS, `4` or `chief=1 worker=2`, or else the number of a TrainJob's nodes."""
    variable = PODS if environment.env.get(PODS) else NODES
    text = environment.env.get(variable, "").strip()
    if not text:
        return None
    if _is_number(text) and 0 < int(text) <= MOST:
        return (PodGroup(name="", jobs=1, pods=int(text)),)
    groups = [_GROUP.fullmatch(part) for part in re.split(r"[\s,]+", text)]
    found = tuple(
        PodGroup(name=name, jobs=int(first) if second else 1, pods=int(second or first))
        for name, first, second in (group.groups() for group in groups if group)
    )
    wrong = variable != PODS or len(found) < len(groups)
    wrong |= not all(0 < group.jobs * group.pods <= MOST for group in found)
    if wrong or len({group.name for group in found}) < len(found):
        raise UserError(
            subject=f"{variable}={shortened(text)}",
            problem="expected the number of pods"
            + (", or of each role: chief=1 worker=2 ps=1" if variable == PODS else ""),
        )
    if len(found) > 1:
        for group in found:
            _role(group)
    return found


def _own_name(environment: Environment) -> tuple[str, str]:
    """Return the host name of this pod, and the service that has an address for each pod.

    The kubelet writes the line `10.1.2.3 POD.SERVICE.NAMESPACE.svc.DOMAIN POD` for a pod with a
    subdomain.
    """
    host, _, domain = environment.env.get("HOSTNAME", "").partition(".")
    domain = environment.env.get(SERVICE) or domain
    if not domain:
        try:
            lines = environment.path("/etc/hosts").read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        names = [name for line in lines for name in line.partition("#")[0].split()[1:]]
        domain = next((n.partition(".")[2] for n in names if n.startswith(f"{host}.")), "")
    return host, domain.partition(".")[0]


def _place_in_jobset(
    environment: Environment, groups: tuple[PodGroup, ...], index: int
) -> tuple[int, int]:
    """Return which group this pod is in, and its number there."""
    name = environment.env.get(REPLICATED_JOB, "")
    own = next((i for i, group in enumerate(groups) if group.name == name), None)
    if own is None:
        listed = ", ".join(group.name for group in groups)
        raise UserError(
            subject=f"{REPLICATED_JOB}={name}",
            problem=f"expected one of those that {PODS} lists, {listed}",
        )
    job = _number(environment, JOB_INDEX) if environment.env.get(JOB_INDEX) else 0
    if job >= groups[own].jobs or index >= groups[own].pods:
        raise UserError(
            subject=f"{JOB_INDEX}={job}, {INDEX}={index}",
            problem=f"{PODS} lists {groups[own].jobs} jobs with {groups[own].pods} pods each",
            remedy="name all pods of the replicated job: NAME=REPLICASxPODS",
        )
    return own, job * groups[own].pods + index


def _names_by_index(
    groups: tuple[PodGroup, ...], host: str, index: int
) -> tuple[list[list[str]], int, int]:
    """Return the names of an indexed Job's pods, by groups that follow each other.

    Returns:
        The names of each group, which of them this pod is in, and its number there.
    """
    sizes = [group.jobs * group.pods for group in groups]
    if index >= sum(sizes):
        raise UserError(
            subject=f"{INDEX}={index}",
            problem=f"{PODS} lists {sum(sizes)} pods",
            remedy="give it the job's number of completions",
        )
    base = host.removesuffix(f"-{index}")
    if base == host and sum(sizes) > 1:
        raise UserError(
            subject=f"HOSTNAME={host}",
            problem=f"expected the name that an indexed Job gives this pod, which ends in -{index}",
            remedy="leave `hostname` and `hostNetwork` out of the pod template",
        )
    names, first, own, number = [], 0, 0, 0
    for i, size in enumerate(sizes):
        names.append([f"{base}-{j}" for j in range(first, first + size)])
        if first <= index < first + size:
            own, number = i, index - first
        first += size
    return names, own, number


def _cluster(
    groups: tuple[PodGroup, ...], addresses: list[tuple[str, ...]], own: int, number: int
) -> Cluster:
    if len(groups) == 1:
        # All do the same; the first is the chief.
        (found,) = addresses
        role: Role = "worker" if number else "chief"
        return Cluster(chief=found[:1], worker=found[1:], role=role, index=max(0, number - 1))
    by_role = {_role(group): found for group, found in zip(groups, addresses, strict=True)}
    if len(by_role.get("chief", ())) > 1:
        raise UserError(
            subject=f"{PODS}: chief={len(by_role['chief'])}", problem="expected one chief"
        )
    return Cluster(
        chief=by_role.get("chief", ()),
        worker=by_role.get("worker", ()),
        ps=by_role.get("ps", ()),
        evaluator=by_role.get("evaluator", ()),
        role=_role(groups[own]),
        index=number,
    )


def _role(group: PodGroup) -> Role:
    role = next((role for role in ROLES if role == group.name), None)
    if role is None:
        raise UserError(
            subject=f"{PODS}: {group.name}", problem=f"expected one of {', '.join(ROLES)}"
        )
    return role


def _number(environment: Environment, variable: str) -> int:
    text = environment.env.get(variable, "")
    if not _is_number(text):
        raise UserError(
            subject=f"{variable}={shortened(text)}",
            problem="expected the number that the controller sets",
        )
    return int(text)


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 10
