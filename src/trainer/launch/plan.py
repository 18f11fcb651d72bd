"""Plan the processes of a job: their roles, ranks, hosts and addresses.

A platform lists hosts, and a host may start several processes. All functions depend on their
arguments only, so each host computes the same plan by itself, once each has sent the others the
number of its processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.config import DEFAULT_PORT, Cluster, Job, Role, UserError
from trainer.distribution import PlannedProcess, spec_of, strategies_where
from trainer.launch.network import join_address, split_address
from trainer.platforms import PLATFORMS

# Roles beside those that train.
SERVING: tuple[Role, ...] = ("ps", "evaluator")


@dataclass(frozen=True, kw_only=True)
class Member:
    """A host that takes part in a job, with a launcher of its own.

    Attributes:
        role: Its role as the platform lists it; it may run a parameter server besides.
        index: Its number among the hosts of its role.
        address: Its address as the platform lists it; empty if it lists none.
    """

    role: Role
    index: int
    address: str = ""

    @property
    def id(self) -> str:
        """Its name in messages between hosts."""
        return f"{self.role}-{self.index}"

    @property
    def host(self) -> str:
        """The host's name or IP, for people; its role where it has none."""
        return split_address(self.address)[0] or self.id

    @property
    def task(self) -> str:
        """Its role, for people."""
        return f"{self.role} {self.index}"

    def __str__(self) -> str:
        return f"{self.task} ({self.host})"


def needs_launcher(job: Job) -> bool:
    """Return whether the job must be started through the multi-process launcher.

    Raises:
        UserError: The job has hosts or processes that its strategy does not use.
    """
    if job.launched or job.import_model:
        return False
    strategy = spec_of(job)
    if strategy.single_process:
        _check_single(job)
    else:
        _check_roles(job)
    hosts = max(1, len(job.cluster.trainers))
    return strategy.needs_launcher(hosts * training_processes(job))


def training_processes(job: Job) -> int:
    """Return how many processes train on this host."""
    return job.processes_per_host or spec_of(job).default_processes(job)


def members(job: Job) -> tuple[Member, ...]:
    """Return the hosts that have to join; the coordinator runs on the first.

    Raises:
        UserError: There is a host that the job's strategy has no use for.
    """
    _check_roles(job)
    return members_of(job.cluster)


def members_of(cluster: Cluster) -> tuple[Member, ...]:
    """Return the hosts of a cluster, whatever they do; as `members`.

    Raises:
        UserError: There is neither a chief nor a worker among several hosts.
    """
    found = [
        Member(role=role, index=index, address=address)
        for role in ("chief", "worker", "ps", "evaluator")
        for index, address in enumerate(getattr(cluster, role))
    ]
    if not cluster.trainers:
        if found:
            raise UserError(
                subject=f"this is {cluster}", problem="expected a chief or a worker among them"
            )
        found = [Member(role="chief", index=0)]
    return tuple(found)


def training_hosts(job: Job) -> tuple[Member, ...]:
    """Return the hosts on which processes train, or the chief coordinates them."""
    return tuple(m for m in members(job) if m.role in ("chief", "worker"))


def this_host(cluster: Cluster) -> Member:
    """Return this host; it may be an evaluator that the list leaves out, as on AI Platform."""
    role, index = cluster.role, cluster.index
    matching = [m for m in members_of(cluster) if (m.role, m.index) == (role, index)]
    return matching[0] if matching else Member(role=role, index=index)


def is_single_host(job: Job) -> bool:
    """Return whether this host is the only one, so that no other host has to reach it."""
    others_come = PLATFORMS[job.platform].starts_unlisted_evaluators and spec_of(job).coordinated
    return len(members(job)) == 1 and job.cluster.role != "evaluator" and not others_come


def plan_processes(job: Job, counts: Mapping[str, int]) -> tuple[PlannedProcess, ...]:
    """Return all processes of the job; first those that train, in the order of their ranks.

    Args:
        job: As this host sees it.
        counts: For each member, how many processes it has that train.
    """
    strategy = spec_of(job)
    equals = not strategy.coordinated
    hosts = training_hosts(job)
    found: list[PlannedProcess] = []
    for place, member in enumerate(hosts):
        count = counts[member.id]
        if not equals:
            if place == 0:
                found.append(
                    PlannedProcess(role="chief", index=0, member=member.id, local_size=count)
                )
            # If there are hosts of workers, the chief's host runs only the chief.
            if place == 0 and len(hosts) > 1:
                continue
        for local in range(count):
            number = len(found)
            found.append(
                PlannedProcess(
                    role="worker" if number else "chief",
                    index=max(0, number - 1),
                    member=member.id,
                    local_rank=local,
                    local_size=count,
                    rank=number if equals else -1,
                )
            )
    if "ps" in strategy.roles:
        listed = [member for member in members(job) if member.role == "ps"]
        for index, member in enumerate(listed or hosts):
            found.append(PlannedProcess(role="ps", index=index, member=member.id))
    return tuple(found)


def processes_on(member: Member, planned: Sequence[PlannedProcess]) -> tuple[PlannedProcess, ...]:
    """Return the processes that a host starts."""
    if member.role == "evaluator":
        return (PlannedProcess(role="evaluator", index=member.index, member=member.id),)
    return tuple(process for process in planned if process.member == member.id)


def cluster_of(
    job: Job, planned: Sequence[PlannedProcess], *, ports: Sequence[int] = ()
) -> Cluster:
    """Return the addresses of all processes.

    Args:
        job: As this host sees it.
        planned: The processes, as `plan_processes` returns them.
        ports: A port for each process, if all are on this host. By default a process gets the
            port that the platform lists, or else one of those after the coordinator's.

    Raises:
        UserError: Two processes would have the same address.
    """
    hosts = {member.id: member for member in members(job)}
    meeting = job.port or DEFAULT_PORT
    named: dict[Role, list[str]] = {"chief": [], "worker": [], "ps": []}
    taken = set() if ports else {(next(iter(hosts.values())).host, meeting)}
    listed: set[str] = set()
    for number, process in enumerate(planned):
        member = hosts[process.member]
        host, port = split_address(member.address)
        if (member.role == "ps") != (process.role == "ps") or member.id in listed:
            # The address that the platform lists belongs to the first such process of the host.
            port = None
        else:
            listed.add(member.id)
        if ports:
            host, port = "127.0.0.1", ports[number]
        elif port is None:
            port = meeting + 1 + number
        if (host, port) in taken or port > 65535:
            raise UserError(
                subject=f"--port {meeting}",
                problem=f"{host}:{port} would be taken twice or is no port; the hosts "
                f"meet at {meeting}, and what has no port of its own takes one of the "
                f"{len(planned)} after it",
                remedy="choose another --port",
            )
        taken.add((host, port))
        named[process.role].append(join_address(host or "127.0.0.1", port))
    return Cluster(
        chief=tuple(named["chief"]), worker=tuple(named["worker"]), ps=tuple(named["ps"])
    )


def _check_single(job: Job) -> None:
    """Raise a UserError if the job has more than the one process that its strategy uses."""
    cluster, how = job.cluster, job.distribution
    several = _or(strategies_where(lambda strategy: not strategy.single_process))
    if cluster.size > 1 or cluster.role in ("ps", "evaluator"):
        raise UserError(
            subject=f"--distribution {how}",
            problem=f"trains in one process, but this is {cluster}",
            remedy=f"set --distribution {several}, or start one host",
        )
    if (job.processes_per_host or 1) > 1:
        raise UserError(
            subject=f"--processes-per-host {job.processes_per_host}",
            problem=f"--distribution {how} trains in one process",
            remedy=f"set --distribution {several}",
        )


def _check_roles(job: Job) -> None:
    """Raise a UserError if a host is listed that the job's strategy has no use for."""
    cluster, how = job.cluster, job.distribution
    roles = {role for role in SERVING if getattr(cluster, role) or cluster.role == role}
    if not roles <= set(spec_of(job).roles):
        others = _or(strategies_where(lambda strategy: roles <= set(strategy.roles)))
        raise UserError(
            subject=f"--distribution {how}",
            problem=f"has neither parameter servers nor evaluators, but this is {cluster}",
            remedy=f"set --distribution {others}, or leave those hosts out",
        )


def _or(names: Sequence[str]) -> str:
    """Return names as in "a, b or c"."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
