"""What becomes of a job: it starts when all hosts are there, begins anew, fails.

Requests of hosts (`roster.py`) and the clock lead to the steps below; each of them is told to all
hosts in the list of news.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from trainer.launch.differences import common_precision, difference, differs
from trainer.launch.plan import Member
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.root_cause import SILENCE, STUCK, RootCause, lost
from trainer.launch.rendezvous.state import GONE, JOINED, JobSpec, JobState, MemberState


class Lifecycle:
    """The steps of a job; whoever calls them holds the lock.

    Args:
        terms: What the job can do without.
        on_start: Called with the number of each host's processes before any host hears that the
            job starts.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        terms: JobSpec,
        *,
        on_start: Callable[[Mapping[str, int]], None] = lambda counts: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chief = terms.expected[0].id
        self._terms = terms
        self._on_start = on_start
        self._clock = clock
        self._changed = threading.Condition()
        self._hosts: dict[str, MemberState] = {}
        self._places: set[tuple[str, int | None]] = set()
        self._verdict = RootCause(clock)
        self._state = JobState(deadline=clock() + terms.start_timeout)

    def _missing(self) -> list[Member]:
        def ready(id: str) -> bool:
            host = self._hosts.get(id)
            return bool(host and host.state == JOINED and host.ready == self._state.generation)

        return [member for member in self._terms.expected if not ready(member.id)]

    def _start_when_complete(self) -> None:
        state = self._state
        if state.started or self._verdict.cause or self._missing() or self._judge():
            return
        state.started, state.started_at = True, self._clock()
        state.begins = len(state.news)
        hosts = {member.id: self._hosts[member.id] for member in self._terms.expected}
        precision, why = common_precision([host.settings for host in hosts.values()])
        if why:
            self._tell("note", text=why)
        counts = {id: host.count for id, host in hosts.items()}
        self._on_start(counts)
        self._tell(
            "start",
            generation=state.generation,
            counts=counts,
            cards={id: host.card for id, host in hosts.items()},
            reached_at=state.reached_at,
            precision=precision,
        )

    def _judge(self) -> bool:
        """End a job whose hosts do not all mean the same one; return whether it was ended."""
        first = self._terms.settings
        others = [
            host for id, host in self._hosts.items() if host.state == JOINED and id != self._chief
        ]
        wrong = difference([first, *(host.settings for host in others)])
        self._state.judged_at = math.inf
        if wrong is None:
            return False
        # The coordinator's own problem is no difference from others.
        blamed = next((h for h in others if differs(first, h.settings) and not first.problem), None)
        host = blamed or self._hosts[self._chief]
        self._fail(Failure(host=host.name, process=host.task, code=2, reason=wrong))
        return True

    def _lose(self, id: str, host: MemberState) -> None:
        host.state = GONE
        state = self._state
        self._changed.notify_all()
        if not state.has_run or state.done is not None or self._verdict.cause:
            # While all are waited for it may come again; at the end it is not waited for.
            return
        if not state.started and self._terms.spares(id):
            # The job begins anew, and this host may do so as well.
            return
        cause = lost(host, STUCK if host.lines else SILENCE)
        if self._terms.spares(id):
            self._tell("note", text=f"{cause.line}; the job goes on without it")
        else:
            self._fail(cause)

    def _begin_anew(self, cause: Failure) -> None:
        state = self._state
        if state.done is not None or self._verdict.cause:
            return
        if state.generation >= self._terms.restarts or state.stopping:
            self._fail(cause)
            return
        state.generation += 1
        state.started = False
        state.deadline = self._clock() + self._terms.start_timeout
        state.begins = len(state.news)
        self._tell("again", generation=state.generation, cause=cause.to_dict())

    def _fail(self, cause: Failure) -> None:
        state = self._state
        if state.done is None and self._verdict.take(cause):
            self._tell("failed", cause=cause.to_dict())

    def _tell(self, kind: str, **what: Any) -> None:
        self._state.news.append({"kind": kind, **what})
        self._changed.notify_all()
