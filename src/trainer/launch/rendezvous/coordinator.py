"""Coordinator of a job, which runs in the launcher of the chief's host.

Each host joins, sends heartbeats, reports what happens to its processes, and leaves. The
coordinator broadcasts what concerns all of them: that the job starts, that it has failed and why,
that it is restarted, that the chief is done. Broadcasts stand in one list, of which every host
reads on from where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from trainer.config import RETRY_CODE
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.fields import whole
from trainer.launch.rendezvous.membership import Membership
from trainer.launch.rendezvous.messages import Broken, Done, Failed, Note, Ready, Stopping
from trainer.launch.rendezvous.origin import Origin
from trainer.launch.rendezvous.requests import (
    Heartbeat,
    Join,
    Leave,
    OpenKeepalive,
    ReportRequest,
    Sender,
    request_from,
)
from trainer.launch.rendezvous.responses import (
    HeartbeatResponse,
    LeaveResponse,
    Response,
    UnknownRun,
)
from trainer.launch.rendezvous.state import JOINED, MemberState

logger = logging.getLogger(__name__)


class Coordinator(Membership):
    """The hosts of a job, and what is broadcast to them.

    Args: See `Lifecycle`.
    """

    def handle(
        self, verb: str, fields: Mapping[str, Any], origin: Origin | None = None
    ) -> dict[str, Any]:
        """Respond to one request of a host.

        Args:
            verb: `join`, `keepalive`, `heartbeat`, `report` or `leave`.
            fields: The request as JSON; always with `member` and `run`.
            origin: Where it comes from; None in the coordinator's own process.

        Raises:
            KeyError, TypeError, ValueError: It is no such request; it has had no effect.
        """
        sender = Sender.from_dict(fields)
        request = request_from(verb, fields)
        with self._changed:
            generation = self._state.generation
            logger.debug(
                "received %s from %s, generation %d", request.name, sender.member, generation
            )
            response: Response
            if isinstance(request, Join):
                response = self._join(sender, request, origin)
            elif member := self._known(sender):
                if origin:
                    # A name may lead to several addresses of this host, by other routes.
                    self._origins.add(origin.place)
                response = self._respond(sender.member, member, request)
            else:
                response = UnknownRun()
        return response.to_dict()

    def tick(self) -> None:
        """Look for lost members, and for deadlines that have passed."""
        with self._changed:
            now, state = self._clock(), self._state
            for id, member in self._members.items():
                times = self._timeouts
                limit = times.hung_after if member.connections else times.lost_after
                silent = now - member.last_heartbeat > limit
                if member.state == JOINED and id != self._chief and silent:
                    self._lose(id, member)
            if now >= state.compare_at and not state.started:
                self._fail_if_settings_differ()
            if not state.started and self._root_cause.failure is None and now > state.deadline:
                first, *more = self._missing()
                others = "".join(f", nor did {member}" for member in more)
                within = f"did not come within {self._spec.start_timeout:g} s (--start-timeout)"
                self._fail(
                    Failure(
                        host=first.host, process=first.task, code=RETRY_CODE, reason=within + others
                    )
                )

    def wait_for_leave(self, timeout: float) -> list[str]:
        """Wait until all others have left or are lost.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            The hosts that are still there.
        """

        def remaining() -> list[str]:
            return [
                member.name
                for id, member in self._members.items()
                if member.state == JOINED and id != self._chief
            ]

        with self._changed:
            self._changed.wait_for(lambda: not remaining(), timeout)
            return remaining()

    # ---- requests

    def _respond(self, id: str, member: MemberState, request: object) -> Response:
        """Respond to a member that has joined."""
        match request:
            case OpenKeepalive():
                return self._open_keepalive(member)
            case Heartbeat():
                return self._heartbeat(member, request)
            case ReportRequest():
                return self._report(id, member, request)
            case Leave():
                return self._leave(id, member, request)
        raise ValueError("no such request")

    def _heartbeat(self, member: MemberState, heartbeat: Heartbeat) -> Response:
        broadcasts = self._state.broadcasts
        position = whole(heartbeat.position, low=0, high=len(broadcasts))
        self._heard_from(member)
        # The response is held back until there is news, so that news arrives at once.
        self._changed.wait_for(
            lambda: len(broadcasts) > position or member.leaving, self._timeouts.heartbeat_hold
        )
        missing = () if self._state.started else self._missing()
        return HeartbeatResponse(
            broadcasts=tuple(broadcasts[position:]),
            position=len(broadcasts),
            missing=tuple(map(str, missing)),
        )

    def _report(self, id: str, member: MemberState, report: ReportRequest) -> Response:
        state, listed = self._state, self._spec.is_listed(id)
        match report.message:
            case Failed(failure=failure):
                if listed:
                    self._fail(failure)
                else:
                    # No host waits for an unlisted evaluator; the chief evaluates as well.
                    self._broadcast(Note(text=f"{failure.line}; the job goes on without it"))
            case Broken(failure=failure, generation=generation) if listed:
                whole(generation, low=0, high=state.generation)
                if generation == state.generation and state.started:
                    self._restart(failure)
            case Ready(generation=generation):
                member.ready_for = whole(generation, low=0, high=state.generation)
                self._start_when_complete()
            case Done() as done if id == self._chief:
                if state.done is None and self._root_cause.failure is None:
                    state.done = done.code
                    self._broadcast(done)
            case Stopping() if listed:
                if not state.stopping:
                    state.stopping = True
                    self._broadcast(Stopping(host=member.name))
            case _:
                raise ValueError("no such report")
        member.last_heartbeat = self._clock()
        return Response()

    def _leave(self, id: str, member: MemberState, leave: Leave) -> Response:
        if self._root_cause.failure is None and self._state.done is None and leave.early:
            self._leave_early(id, member, leave.code)
        member.leaving = True
        self._changed.notify_all()
        while (left := self._root_cause.unsettled) > 0:
            self._changed.wait(left)
        self._root_cause.blame_silent(
            other
            for other_id, other in self._members.items()
            if other.state == JOINED and not other.leaving and other_id != self._chief
        )
        return LeaveResponse(failure=self._root_cause.failure)

    def _leave_early(self, id: str, member: MemberState, code: int) -> None:
        """Go on without an optional member that was stopped, or fail the job."""
        if self._spec.is_optional(id) and self._state.started:
            self._broadcast(Note(text=f"host {member.name}, {member.task}, was told to end"))
            return
        self._fail(
            Failure(
                host=member.name,
                process=member.task,
                code=code or RETRY_CODE,
                reason="was told to end before the job was done",
            )
        )
