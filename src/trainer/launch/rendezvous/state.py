"""State that the coordinator keeps: what the job needs, its members, how far it has come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.launch.differences import difference
from trainer.launch.host_settings import HostSettings
from trainer.launch.plan import Member
from trainer.launch.rendezvous.messages import Message

# The states of a member.
JOINED, LEFT, LOST = "joined", "left", "lost"


@dataclass
class MemberState:
    """One member of the job, as the coordinator sees it.

    Attributes:
        run: Which start of its launcher it is.
        name: The name of its host, for people.
        task: Its role, for people.
        processes: How many processes it has that train.
        metadata: What the other hosts receive of it when the job starts.
        last_heartbeat: When it was last heard of, by the coordinator's clock.
        state: `JOINED`, `LEFT` or `LOST`.
        leaving: Whether it has said goodbye.
        connections: How many keepalive connections from it stand; see `keepalive`.
        ready_for: The generation for which it is ready.
        settings: What it states of the job.
    """

    run: str
    name: str
    task: str
    processes: int
    metadata: Mapping[str, Any]
    last_heartbeat: float
    state: str = JOINED
    leaving: bool = False
    connections: int = 0
    ready_for: int = 0
    settings: HostSettings = field(default_factory=HostSettings)


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """The job, as the coordinator knows it in advance.

    Attributes:
        settings: What the coordinator's host states of the job.
        expected: The hosts that have to come; the coordinator runs on the first of them.
        optional: Ids of those without which the job goes on, and which may come back.
        restarts: How often the job may be restarted.
        start_timeout: Seconds for all to come.
        unlisted_evaluators: Whether evaluators may join that `expected` does not list.
        late_evaluators: Whether they may do so when the job runs already.
    """

    settings: HostSettings = field(default_factory=HostSettings)
    expected: tuple[Member, ...]
    optional: frozenset[str] = frozenset()
    restarts: int = 0
    start_timeout: float = 600.0
    unlisted_evaluators: bool = False
    late_evaluators: bool = False

    def difference_from(self, settings: HostSettings) -> str | None:
        """Return why a host with these settings cannot take part, or None if it can."""
        return difference([self.settings, settings])

    def is_listed(self, id: str) -> bool:
        """Return whether a member is one of those that have to come."""
        return any(id == member.id for member in self.expected)

    def is_optional(self, id: str) -> bool:
        """Return whether the job goes on without a member, as without unlisted evaluators."""
        return id in self.optional or not self.is_listed(id)


@dataclass
class JobState:
    """The progress of the job.

    Attributes:
        deadline: When all members have to be there.
        compare_at: When members that have joined are compared, though others have not come yet.
        generation: How often the job has been restarted.
        started: Whether all are there and the processes run.
        started_at: When it started, for the last time.
        done: The chief's exit code, once it has ended well.
        stopping: Whether the job is to stop.
        generation_start: Where in `broadcasts` the generation begins.
        reached_at: The address at which the other hosts reach the coordinator's.
        refusals: How many newcomers were refused.
        broadcasts: All messages to all members; each reads on from where it was.
    """

    deadline: float
    compare_at: float = math.inf
    generation: int = 0
    started: bool = False
    started_at: float = 0.0
    done: int | None = None
    stopping: bool = False
    generation_start: int = 0
    reached_at: str | None = None
    refusals: int = 0
    broadcasts: list[Message] = field(default_factory=list)

    @property
    def has_run(self) -> bool:
        """True once the job has started, also while it is being restarted."""
        return self.started or self.generation > 0
