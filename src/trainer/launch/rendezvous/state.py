"""What a job of several hosts is made of, for the one that keeps the roster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.launch.differences import difference
from trainer.launch.host_settings import HostSettings
from trainer.launch.plan import Member

# The states of a host.
JOINED, LEFT, GONE = "joined", "left", "lost"


@dataclass
class MemberState:
    """One host as the roster sees it.

    Attributes:
        run: Which start of its launcher it is.
        name: For people.
        task: Its role, for people.
        count: How many processes it has that train.
        card: What the others are told of it when the job starts.
        seen: When it was heard of last.
        state: Whether it is there.
        leaving: Whether it has said goodbye.
        lines: How many idle connections from it stand; see `lifeline`.
        ready: For which beginning of the job it is ready.
        settings: What it states of the job.
    """

    run: str
    name: str
    task: str
    count: int
    card: dict[str, Any]
    seen: float
    state: str = JOINED
    leaving: bool = False
    lines: int = 0
    ready: int = 0
    settings: HostSettings = field(default_factory=HostSettings)


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """What a job can do without.

    Attributes:
        spec: What the coordinator states of the job; see `agreement.Settings`.
        expected: Who has to come; the first of them keeps the roster.
        spared: Ids of those without whom the job goes on, and who may come back.
        restarts: How often it may begin anew.
        start_timeout: Seconds for all to come.
        unlisted_evaluators: Whether evaluators may join that `expected` does not have.
        late_evaluators: Whether they may do so when the job runs already.
    """

    spec: Mapping[str, Any]
    expected: tuple[Member, ...]
    spared: frozenset[str] = frozenset()
    restarts: int = 0
    start_timeout: float = 600.0
    unlisted_evaluators: bool = False
    late_evaluators: bool = False

    def disagreement(self, settings: HostSettings) -> str | None:
        """What is wrong with a host that wants to join, in words; None if nothing is."""
        return difference([self.settings, settings])

    @property
    def settings(self) -> HostSettings:
        """What the coordinator states of the job."""
        return HostSettings.from_dict(self.spec)

    def lists(self, id: str) -> bool:
        """Whether a host is one of those that have to come."""
        return any(id == member.id for member in self.expected)

    def spares(self, id: str) -> bool:
        """Whether the job goes on without a host; evaluators that nobody lists come and go."""
        return id in self.spared or not self.lists(id)


@dataclass
class JobState:
    """What has come of the job.

    Attributes:
        generation: How often it has begun anew.
        started: Whether all are there and it runs.
        deadline: When all have to be there.
        judged_at: When a job that cannot start ends, though some hosts have not come yet.
        started_at: When it began, for the last time.
        done: The chief's exit code, once it has ended well.
        stopping: Whether it was told to stop.
        begins: Where in the news the generation begins.
        reached_at: The address at which others reach this host.
        refused: How many newcomers were refused.
        news: All of it.
    """

    deadline: float
    judged_at: float = math.inf
    generation: int = 0
    started: bool = False
    started_at: float = 0.0
    done: int | None = None
    stopping: bool = False
    begins: int = 0
    reached_at: str | None = None
    refused: int = 0
    news: list[dict[str, Any]] = field(default_factory=list)

    @property
    def has_run(self) -> bool:
        """Whether the job has started, be it that it begins anew just now."""
        return self.started or self.generation > 0
