"""Lifecycle of a job: it starts when all hosts are there, is restarted, fails.

Requests of hosts (`coordinator.py`) and the clock lead to the steps below. Each step is broadcast
to all hosts.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping

from trainer.launch.differences import common_precision, difference, differs
from trainer.launch.plan import Member
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.messages import Failed, Message, Note, Restart, Start
from trainer.launch.rendezvous.origin import Place
from trainer.launch.rendezvous.root_cause import SILENCE, STUCK, RootCause, lost
from trainer.launch.rendezvous.state import JOINED, LOST, JobSpec, JobState, MemberState
from trainer.launch.timeouts import DEFAULTS, Timeouts

logger = logging.getLogger(__name__)


class Lifecycle:
    """The steps of a job; callers of its methods hold the lock.

    Args:
        spec: What is known of the job in advance.
        on_start: Called with the number of each host's processes before any host receives that the
            job starts.
        clock: Returns seconds, never going back.
        timeouts: How long to wait for hosts.
    """

    def __init__(
        self,
        spec: JobSpec,
        *,
        on_start: Callable[[Mapping[str, int]], None] = lambda processes: None,
        clock: Callable[[], float] = time.monotonic,
        timeouts: Timeouts = DEFAULTS,
    ) -> None:
        self._chief = spec.expected[0].id
        self._spec = spec
        self._on_start = on_start
        self._clock = clock
        self._timeouts = timeouts
        self._changed = threading.Condition()
        self._members: dict[str, MemberState] = {}
        self._origins: set[Place] = set()
        self._root_cause = RootCause(clock, timeouts)
        self._state = JobState(deadline=clock() + spec.start_timeout)

    def _missing(self) -> list[Member]:
        """Return the members for which the start of this generation is waiting."""

        def is_ready(id: str) -> bool:
            member, generation = self._members.get(id), self._state.generation
            return bool(member and member.state == JOINED and member.ready_for == generation)

        return [member for member in self._spec.expected if not is_ready(member.id)]

    def _start_when_complete(self) -> None:
        state = self._state
        if state.started or self._root_cause.failure or self._missing():
            return
        if self._fail_if_settings_differ():
            return
        state.started, state.started_at = True, self._clock()
        state.generation_start = len(state.broadcasts)
        members = {member.id: self._members[member.id] for member in self._spec.expected}
        precision, why = common_precision([member.settings for member in members.values()])
        if why:
            self._broadcast(Note(text=why))
        processes = {id: member.processes for id, member in members.items()}
        self._on_start(processes)
        self._broadcast(
            Start(
                generation=state.generation,
                processes=processes,
                metadata={id: member.metadata for id, member in members.items()},
                reached_at=state.reached_at,
                precision=precision,
            )
        )

    def _fail_if_settings_differ(self) -> bool:
        """Fail a job whose hosts were given different settings; return whether it has failed."""
        own = self._spec.settings
        others = [
            member
            for id, member in self._members.items()
            if member.state == JOINED and id != self._chief
        ]
        reason = difference([own, *(member.settings for member in others)])
        self._state.compare_at = math.inf
        if reason is None:
            return False
        # A problem of the coordinator's own host is no difference from the others.
        blamed = next((m for m in others if differs(own, m.settings) and not own.problem), None)
        member = blamed or self._members[self._chief]
        self._fail(Failure(host=member.name, process=member.task, code=2, reason=reason))
        return True

    def _lose(self, id: str, member: MemberState) -> None:
        """Count a member as lost, and decide what that means for the job."""
        member.state = LOST
        state = self._state
        self._changed.notify_all()
        if not state.has_run or state.done is not None or self._root_cause.failure:
            # Before the start it may come again; at the end nobody waits for it.
            return
        optional = self._spec.is_optional(id)
        if not state.started and optional:
            # The job is being restarted, and this host may join it again.
            return
        failure = lost(member, STUCK if member.connections else SILENCE)
        if optional:
            self._broadcast(Note(text=f"{failure.line}; the job goes on without it"))
        else:
            self._fail(failure)

    def _restart(self, failure: Failure) -> None:
        """Restart the job after a failure that allows it, or fail it when it may not."""
        state = self._state
        if state.done is not None or self._root_cause.failure:
            return
        if state.generation >= self._spec.restarts or state.stopping:
            self._fail(failure)
            return
        state.generation += 1
        state.started = False
        state.deadline = self._clock() + self._spec.start_timeout
        state.generation_start = len(state.broadcasts)
        self._broadcast(Restart(generation=state.generation, failure=failure))

    def _fail(self, failure: Failure) -> None:
        if self._state.done is None and self._root_cause.offer(failure):
            self._broadcast(Failed(failure=failure))

    def _broadcast(self, message: Message) -> None:
        state = self._state
        logger.debug("broadcast %s to all members, generation %d", message.kind, state.generation)
        state.broadcasts.append(message)
        self._changed.notify_all()
