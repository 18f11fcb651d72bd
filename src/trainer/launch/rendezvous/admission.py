"""Admission to a job: the coordinator's decision about a launcher that asks to join.

A newcomer's mistake is the newcomer's failure. It ends the job only while all hosts are still being
gathered, where it comes from a host that the job cannot start without.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trainer.launch.rendezvous.requests import Join
from trainer.launch.rendezvous.state import JOINED, JobSpec, JobState, MemberState
from trainer.launch.timeouts import DEFAULTS, Timeouts
from trainer.runtime import printable

# Evaluators that no list names; TensorFlow itself knows one.
_MOST_UNLISTED = 16


class Admission(Enum):
    """The coordinator's decision about a newcomer."""

    ACCEPT = "accept"
    # The newcomer ends with code 2; the job is not affected.
    REFUSE = "refuse"
    # Another run of that member is there; the newcomer asks again until it is known to live or not.
    RETRY = "retry"
    # The job cannot start without it: once all are there, or after a while, the job ends with
    # code 2.
    DIFFERS = "differs"


@dataclass(frozen=True)
class Decision:
    """A decision with the reason for it."""

    admission: Admission
    reason: str = ""


def decide(
    spec: JobSpec,
    state: JobState,
    id: str,
    join: Join,
    *,
    known: MemberState | None,
    now: float,
    unlisted: int,
    timeouts: Timeouts = DEFAULTS,
) -> Decision:
    """Decide about a launcher that has not joined yet.

    Args:
        spec: What is known of the job in advance.
        state: How far it has come.
        id: The id of the member that the newcomer says it is.
        join: The newcomer's request.
        known: The member of that id that joined before, if any.
        now: The coordinator's clock, in seconds.
        unlisted: How many evaluators have joined that no list names.
        timeouts: How late an evaluator may be, and how long a member may be silent.
    """
    listed = spec.is_listed(id)
    if not listed:
        late = state.has_run and now - state.started_at > timeouts.evaluator_delay
        reason = _refusal(spec, id, late=late, known=known, unlisted=unlisted)
        if reason:
            return Decision(Admission.REFUSE, reason)
    differs = spec.difference_from(join.settings)
    if differs and (state.has_run or not listed):
        return Decision(Admission.REFUSE, differs)
    if known and is_alive(known, now, silent_after=timeouts.silent_after):
        return Decision(
            Admission.RETRY,
            f"{known.task} has joined already from host {known.name}, and lives; end that one "
            "first, or give this host a place of its own in the list of hosts",
        )
    return Decision(Admission.DIFFERS, differs) if differs else Decision(Admission.ACCEPT)


def is_alive(member: MemberState, now: float, *, silent_after: float) -> bool:
    """Return whether the run that has joined is still there, as far as the coordinator knows."""
    silent = now - member.last_heartbeat > silent_after
    return member.state == JOINED and (member.connections > 0 or not silent)


def _refusal(
    spec: JobSpec, id: str, *, late: bool, known: MemberState | None, unlisted: int
) -> str | None:
    """Return why a launcher cannot join whose member no list names; None if it can."""
    names = ", ".join(each.id for each in spec.expected)
    if not id.startswith("evaluator-") or not spec.unlisted_evaluators:
        return f"{id} is none of those whom the chief expects: {printable(names, longest=500)}"
    if known is None and unlisted >= _MOST_UNLISTED:
        return f"{unlisted} evaluators that no list names have joined already"
    if known is None and late and not spec.late_evaluators:
        return (
            f"the job runs already, and its list of hosts does not name {id}; list it, or "
            "start it together with the listed hosts"
        )
    return None
