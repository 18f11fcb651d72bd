"""The hosts of a SageMaker job, and those of them that train."""

from __future__ import annotations

from typing import Any

from trainer.config import Cluster, UserError
from trainer.platforms.base import Environment, expect


def read_cluster(environment: Environment) -> Cluster:
    """Return the hosts that take part in the training, the first of them the chief.

    Raises:
        UserError: A variable is malformed, or this host is not in the list.
    """
    hosts, taking_part = read_hosts(environment)
    current = environment.env.get("SM_CURRENT_HOST", "")
    if hosts and current not in hosts:
        raise UserError(
            subject=f"SM_CURRENT_HOST={current}",
            problem=f"is not in its own list, SM_HOSTS={','.join(hosts)}",
        )
    if current not in taking_part:
        return Cluster()
    rank = taking_part.index(current)
    return Cluster(
        chief=(taking_part[0],),
        worker=tuple(taking_part[1:]),
        role="worker" if rank else "chief",
        index=max(0, rank - 1),
        interface=_interface(environment),
    )


def read_hosts(environment: Environment) -> tuple[list[str], list[str]]:
    """Return all hosts, and those that take part, which in a heterogeneous cluster may be fewer."""
    variable = "SM_RESOURCE_CONFIG"
    config = expect(dict, environment.json(variable) or {}, where=variable)
    hosts = _names(environment.json("SM_HOSTS") or [], where="SM_HOSTS")
    groups = "SM_DISTRIBUTION_INSTANCE_GROUPS"
    chosen = _names(environment.json(groups) or [], where=groups)
    where = f"{variable}: instance_groups"
    members: set[str] = set()
    listed = expect(list, config.get("instance_groups") or [], where=where)
    for group in listed:
        if expect(dict, group, where=where).get("instance_group_name") in chosen:
            members.update(_names(group.get("hosts"), where=f"{where}: hosts"))
    # `homogeneousCluster` is the toolkit's own name where the user gives none.
    if listed and not members and {*chosen} - {"homogeneousCluster"}:
        found = ", ".join(str(group.get("instance_group_name")) for group in listed)
        raise UserError(
            subject=groups,
            problem=f"none of {', '.join(chosen)} is among the job's groups, {found}",
            remedy="name one of these",
        )
    return hosts, [host for host in hosts if host in members] if members else hosts


def _names(listed: Any, *, where: str) -> list[str]:
    return [expect(str, name, where=where) for name in expect(list, listed, where=where)]


def _interface(environment: Environment) -> str | None:
    """Return the network interface that SageMaker names, or None if this host lacks it.

    The SDK's version 3 names `ethwe` in local mode, which docker networks do not have.
    """
    name = environment.env.get("SM_NETWORK_INTERFACE_NAME", "")
    return name if name and environment.path(f"/sys/class/net/{name}").exists() else None
