"""What the chief's launcher knows of all hosts, and what it tells them.

Each host joins, beats, reports what happens to its processes, and leaves. What concerns all of them
is written into one list of news, of which every host reads on from where it was: that the job
starts, that it has failed and why, that it begins again, that the chief is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.config import RETRY
from trainer.launch.rendezvous.admission import Admission, decide
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.lifecycle import Lifecycle
from trainer.launch.rendezvous.origin import Origin
from trainer.launch.rendezvous.requests import Join, sender, whole
from trainer.launch.rendezvous.root_cause import SILENT
from trainer.launch.rendezvous.state import GONE, JOINED, LEFT, MemberState

# Seconds without sign of life after which a host counts as lost.
LOST = 5.0
# And with none but the connection of its kernel: its launcher gets no processor, or hangs.
HUNG = 60.0
# How long a beat is held back when there is no news.
HOLD = 1.0
# For hosts to come and hear why the job cannot start, once two of them differ.
GATHER = 10.0
# Idle connections of one host; a second one stands while the first is not known to be broken.
_LINES = 4
# How many refused newcomers are spoken of.
_NOTES = 10


class Coordinator(Lifecycle):
    """The hosts of a job, and its news.

    Args: as of `Course`.
    """

    def handle(
        self, verb: str, told: Mapping[str, Any], origin: Origin | None = None
    ) -> dict[str, Any]:
        """Answer one request of a host.

        Args:
            verb: `join`, `line`, `beat`, `report` or `leave`.
            told: What it says; always `member` and `run`.
            origin: Where it comes from; None in the coordinator's own process.

        Raises:
            KeyError, TypeError, ValueError: It is no such request; it has had no effect.
        """
        id, run = sender(told)
        with self._changed:
            if verb == "join":
                return self._join(id, run, Join.from_request(told), origin)
            answer = {
                "line": self._line, "beat": self._beat, "report": self._report,
                "leave": self._leave,
            }[verb]  # fmt: skip
            host = self._known(id, run)
            if host is None:
                return {"unknown": True}
            if origin:
                # Names may lead to several addresses of this host, by other routes.
                self._places.add((origin.address, origin.user))
            return answer(id, host, told)

    def tick(self) -> None:
        """See who is lost, and whether the time to come is over."""
        with self._changed:
            now, state = self._clock(), self._state
            for id, host in self._hosts.items():
                patience = HUNG if host.lines else LOST
                if host.state == JOINED and id != self._chief and now - host.seen > patience:
                    self._lose(id, host)
            if now >= state.judged_at and not state.started:
                self._judge()
            if not state.started and self._verdict.cause is None and now > state.deadline:
                first, *more = self._missing()
                others = "".join(f", nor did {member}" for member in more)
                within = f"did not come within {self._terms.start_timeout:g} s (--start-timeout)"
                self._fail(
                    Failure(host=first.host, process=first.task, code=RETRY, reason=within + others)
                )

    def left(self, id: str, run: str) -> None:
        """Take note that a host has been told all that it needs, and goes."""
        with self._changed:
            host = self._known(id, run)
            if host and host.leaving:
                host.state = LEFT
            self._changed.notify_all()

    def line_broke(self, id: str, run: str) -> None:
        """Take note that a connection is no more which a host has announced by `line`."""
        with self._changed:
            host = self._known(id, run)
            if host:
                host.lines -= 1

    def wait_for_leave(self, timeout: float) -> list[str]:
        """Wait until all others have left or are lost.

        Returns:
            Those who are still there.
        """

        def there() -> list[str]:
            return [
                host.name
                for id, host in self._hosts.items()
                if host.state == JOINED and id != self._chief
            ]

        with self._changed:
            self._changed.wait_for(lambda: not there(), timeout)
            return there()

    def has_joined_from(self, origin: Origin) -> bool:
        """Return whether a host of the job has joined from there."""
        return (origin.address, origin.user) in self._places

    def _join(self, id: str, run: str, join: Join, origin: Origin | None) -> dict[str, Any]:
        state, host, now = self._state, self._hosts.get(id), self._clock()
        if host and host.run == run:
            # It only asks twice, as an answer was late.
            self._heard_from(host)
            return {"seen": state.begins}
        decision = decide(
            self._terms, state, id, join, known=host, now=now,
            unlisted=sum(not self._terms.lists(each) for each in self._hosts),
        )  # fmt: skip
        if decision.answer is Admission.RETRY and host:
            return {"occupied": decision.reason, "beating": now - host.seen <= SILENT}
        if decision.answer is Admission.REFUSE:
            self._refuse(f"host {join.host}, {join.task}, was refused: {decision.reason}")
            return {"refused": decision.reason}
        new = MemberState(
            run=run, name=join.host, task=join.task, count=join.count, card=dict(join.card),
            seen=now, ready=state.generation, settings=join.settings,
        )  # fmt: skip
        if decision.answer is Admission.DIFFERS:
            state.judged_at = min(state.judged_at, now + GATHER, state.deadline)
        elif host and state.started and not self._terms.spares(id):
            reason = "its launcher was started a second time, so the first one has died"
            self._fail(Failure(host=new.name, process=new.task, code=RETRY, reason=reason))
        elif host and state.started:
            self._tell("note", text=f"host {new.name}, {new.task}, is back")
        self._hosts[id] = new
        if origin:
            # What an accepted host has reached, others can.
            state.reached_at = state.reached_at or origin.reached_at
            self._places.add((origin.address, origin.user))
        self._start_when_complete()
        # Who comes later begins with how the job began.
        return {"seen": state.begins}

    def refused_rank(self, origin: Origin) -> None:
        """Take note that a rank of Horovod was refused, as no host has joined from there."""
        with self._changed:
            why = "no host of the job has joined from there"
            self._refuse(f"an address for Horovod from {origin.address} was refused: {why}")

    def _refuse(self, text: str) -> None:
        self._state.refused += 1
        if self._state.refused <= _NOTES:
            self._tell("note", text=text)

    def _heard_from(self, host: MemberState) -> None:
        if host.state == GONE:
            host.state = JOINED
            self._tell("note", text=f"host {host.name}, {host.task}, is back")
        host.seen = self._clock()

    def _line(self, id: str, host: MemberState, told: Mapping[str, Any]) -> dict[str, Any]:
        if host.lines >= _LINES:
            raise ValueError("too many connections")
        host.lines += 1
        return {}

    def _beat(self, id: str, host: MemberState, told: Mapping[str, Any]) -> dict[str, Any]:
        state = self._state
        seen = whole(told["seen"], low=0, high=len(state.news))
        self._heard_from(host)
        self._changed.wait_for(lambda: len(state.news) > seen or host.leaving, HOLD)
        return {
            "news": state.news[seen:],
            "seen": len(state.news),
            "missing": [] if state.started else [str(member) for member in self._missing()],
        }

    def _report(self, id: str, host: MemberState, told: Mapping[str, Any]) -> dict[str, Any]:
        state, kind, listed = self._state, told["kind"], self._terms.lists(id)
        if kind == "failed":
            cause = Failure.from_dict(told["cause"])
            if listed:
                self._fail(cause)
            else:
                # Nobody waits for it; the chief evaluates as well.
                self._tell("note", text=f"{cause.line}; the job goes on without it")
        elif kind == "broken" and listed:
            cause = Failure.from_dict(told["cause"])
            now = whole(told["generation"], low=0, high=state.generation) == state.generation
            if now and state.started:
                self._begin_anew(cause)
        elif kind == "ready":
            host.ready = whole(told["generation"], low=0, high=state.generation)
            self._start_when_complete()
        elif kind == "done" and id == self._chief:
            code = whole(told["code"], low=0, high=255)
            if state.done is None and self._verdict.cause is None:
                state.done = code
                self._tell("done", code=state.done)
        elif kind == "told" and listed:
            if not state.stopping:
                state.stopping = True
                self._tell("stopping", host=host.name)
        else:
            raise ValueError("no such report")
        host.seen = self._clock()
        return {}

    def _leave(self, id: str, host: MemberState, told: Mapping[str, Any]) -> dict[str, Any]:
        state, early = self._state, told["early"]
        code = whole(told["code"], low=0, high=255)
        if not isinstance(early, bool):
            raise TypeError("expected a boolean")
        if self._verdict.cause is None and state.done is None and early:
            if self._terms.spares(id) and state.started:
                self._tell("note", text=f"host {host.name}, {host.task}, was told to end")
            else:
                self._fail(
                    Failure(
                        host=host.name,
                        process=host.task,
                        code=code or RETRY,
                        reason="was told to end before the job was done",
                    )
                )
        host.leaving = True
        self._changed.notify_all()
        while (left := self._verdict.unsettled) > 0:
            self._changed.wait(left)
        self._verdict.blame_the_silent(
            other
            for other_id, other in self._hosts.items()
            if other.state == JOINED and not other.leaving and other_id != self._chief
        )
        cause = self._verdict.cause
        return {"cause": cause.to_dict() if cause else None}

    def _known(self, id: str, run: str) -> MemberState | None:
        host = self._hosts.get(id)
        return host if host and host.run == run else None
