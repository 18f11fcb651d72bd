"""Membership of a job: who joins, who is there, and what newcomers are refused."""

from __future__ import annotations

import logging

from trainer.config import RETRY_CODE
from trainer.launch.rendezvous.admission import Admission, decide
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.lifecycle import Lifecycle
from trainer.launch.rendezvous.messages import Note
from trainer.launch.rendezvous.origin import Origin
from trainer.launch.rendezvous.requests import Join, Sender
from trainer.launch.rendezvous.responses import Joined, JoinRefused, PlaceTaken, Response
from trainer.launch.rendezvous.state import JOINED, LEFT, LOST, MemberState

logger = logging.getLogger(__name__)

# Keepalive connections of one host; a second one stands while the first is not known to be broken.
_MOST_CONNECTIONS = 4
# Refused newcomers that are logged; more are ignored.
_MOST_REFUSALS = 10


class Membership(Lifecycle):
    """The members of a job.

    Args: See `Lifecycle`.
    """

    def left(self, sender: Sender) -> None:
        """Count a member as gone that has received the response to its goodbye."""
        with self._changed:
            member = self._known(sender)
            if member and member.leaving:
                member.state = LEFT
            self._changed.notify_all()

    def connection_closed(self, sender: Sender) -> None:
        """Count one keepalive connection of a member less."""
        with self._changed:
            member = self._known(sender)
            if member:
                member.connections -= 1

    def has_joined_from(self, origin: Origin) -> bool:
        """Return whether a host of the job has joined from there."""
        return origin.place in self._origins

    def refuse_rank(self, origin: Origin) -> None:
        """Note that a rank of Horovod was refused, as no host has joined from there."""
        with self._changed:
            why = "no host of the job has joined from there"
            self._note_refusal(f"an address for Horovod from {origin.address} was refused: {why}")

    # ---- for the coordinator, which holds the lock

    def _join(self, sender: Sender, join: Join, origin: Origin | None) -> Response:
        state, now, id = self._state, self._clock(), sender.member
        member = self._members.get(id)
        if member and member.run == sender.run:
            # The launcher sent the request again, as the response was late.
            self._heard_from(member)
            return Joined(position=state.generation_start)
        decision = decide(
            self._spec,
            state,
            id,
            join,
            known=member,
            now=now,
            unlisted=sum(not self._spec.is_listed(each) for each in self._members),
            timeouts=self._timeouts,
        )
        logger.debug("decided about %s: %s", id, decision.admission.value)
        if decision.admission is Admission.RETRY and member:
            alive = now - member.last_heartbeat <= self._timeouts.silent_after
            return PlaceTaken(occupied=decision.reason, alive=alive)
        if decision.admission is Admission.REFUSE:
            self._note_refusal(f"host {join.host}, {join.task}, was refused: {decision.reason}")
            return JoinRefused(refused=decision.reason)
        new = MemberState(
            run=sender.run,
            name=join.host,
            task=join.task,
            processes=join.processes,
            metadata=join.metadata,
            last_heartbeat=now,
            ready_for=state.generation,
            settings=join.settings,
        )
        if decision.admission is Admission.DIFFERS:
            gathered = now + self._timeouts.gather
            state.compare_at = min(state.compare_at, gathered, state.deadline)
        elif member and state.started:
            self._replace(id, new)
        self._members[id] = new
        if origin:
            # The other hosts can reach the address that an accepted host has reached.
            state.reached_at = state.reached_at or origin.reached_at
            self._origins.add(origin.place)
        self._start_when_complete()
        # A host that comes later begins to read with how the job began.
        return Joined(position=state.generation_start)

    def _replace(self, id: str, new: MemberState) -> None:
        """Decide what the second start of a launcher means for the job that runs."""
        if self._spec.is_optional(id):
            self._broadcast(Note(text=f"host {new.name}, {new.task}, is back"))
        else:
            reason = "its launcher was started a second time, so the first one has died"
            self._fail(Failure(host=new.name, process=new.task, code=RETRY_CODE, reason=reason))

    def _open_keepalive(self, member: MemberState) -> Response:
        if member.connections >= _MOST_CONNECTIONS:
            raise ValueError("too many connections")
        member.connections += 1
        return Response()

    def _known(self, sender: Sender) -> MemberState | None:
        """Return the member that has joined with this run of its launcher."""
        member = self._members.get(sender.member)
        return member if member and member.run == sender.run else None

    def _heard_from(self, member: MemberState) -> None:
        if member.state == LOST:
            member.state = JOINED
            self._broadcast(Note(text=f"host {member.name}, {member.task}, is back"))
        member.last_heartbeat = self._clock()

    def _note_refusal(self, text: str) -> None:
        self._state.refusals += 1
        if self._state.refusals <= _MOST_REFUSALS:
            self._broadcast(Note(text=text))
