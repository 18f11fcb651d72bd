"""Who may join a job: the coordinator's decision about a launcher that asks to.

A newcomer's mistake is the newcomer's failure. It ends the job only while all hosts are still being
gathered, where it comes from a host that the job cannot start without.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trainer.launch.printable import printable
from trainer.launch.rendezvous.requests import Join
from trainer.launch.rendezvous.root_cause import SILENT
from trainer.launch.rendezvous.state import JOINED, JobSpec, JobState, MemberState

# Evaluators that no list names; TensorFlow itself knows one.
_MOST_UNLISTED = 16
# Seconds for one of them that was started together with the listed hosts; nobody waits for it.
_TOGETHER = 5.0


class Admission(Enum):
    """What becomes of a newcomer."""

    ACCEPT = "accept"
    # It ends with code 2, and nobody else does.
    REFUSE = "refuse"
    # A member of that name is there; it asks again until it is known whether that one lives.
    RETRY = "retry"
    # It is one of those without whom the job cannot start: once all are there, or after a while,
    # the job ends with code 2.
    DIFFERS = "differs"


@dataclass(frozen=True)
class Decision:
    """The answer to a newcomer, and why."""

    answer: Admission
    reason: str = ""


def decide(
    terms: JobSpec,
    state: JobState,
    member: str,
    join: Join,
    *,
    known: MemberState | None,
    now: float,
    unlisted: int,
) -> Decision:
    """Decide about a launcher that has not joined yet.

    Args:
        terms: What the job is made of.
        state: What has come of it.
        member: Which member it says it is.
        join: What it says of itself.
        known: The member of that name that joined before, if any.
        now: The coordinator's clock.
        unlisted: How many evaluators have joined that no list names.
    """
    listed = terms.lists(member)
    if not listed:
        late = state.has_run and now - state.started_at > _TOGETHER
        wrong = _unlisted(terms, member, late=late, known=known, count=unlisted)
        if wrong:
            return Decision(Admission.REFUSE, wrong)
    differs = terms.disagreement(join.settings)
    if differs and (state.has_run or not listed):
        return Decision(Admission.REFUSE, differs)
    if known and is_living(known, now):
        return Decision(
            Admission.RETRY,
            f"{known.task} has joined already from host {known.name}, and lives; end that one "
            "first, or give this host a place of its own in the list of hosts",
        )
    return Decision(Admission.DIFFERS, differs) if differs else Decision(Admission.ACCEPT)


def is_living(host: MemberState, now: float) -> bool:
    """Return whether the run that has joined is still there, as far as can be known."""
    return host.state == JOINED and (host.lines > 0 or now - host.seen <= SILENT)


def _unlisted(
    terms: JobSpec, member: str, *, late: bool, known: MemberState | None, count: int
) -> str | None:
    names = ", ".join(each.id for each in terms.expected)
    if not member.startswith("evaluator-") or not terms.unlisted_evaluators:
        return f"{member} is none of those whom the chief expects: {printable(names, longest=500)}"
    if known is None and count >= _MOST_UNLISTED:
        return f"{count} evaluators that no list names have joined already"
    if known is None and late and not terms.late_evaluators:
        return (
            f"the job runs already, and its list of hosts does not name {member}; list it, or "
            "start it together with the listed hosts"
        )
    return None
