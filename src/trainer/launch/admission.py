"""Who may join a job: the coordinator's decision about a launcher that asks to.

A newcomer's mistake is the newcomer's failure. It ends the job only while all hosts are still being
gathered, where it comes from a host that the job cannot start without.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trainer.launch.printable import printable
from trainer.launch.requests import Join
from trainer.launch.terms import JOINED, Host, Terms
from trainer.launch.verdict import SILENT

# Evaluators that no list names; TensorFlow itself knows one.
_MOST_UNLISTED = 16


class Answer(Enum):
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

    answer: Answer
    reason: str = ""


def decide(
    terms: Terms, member: str, join: Join, *, has_run: bool, known: Host | None, now: float,
    unlisted: int,
) -> Decision:  # fmt: skip
    """Decide about a launcher that has not joined yet.

    Args:
        terms: What the job is made of.
        member: Which member it says it is.
        join: What it says of itself.
        has_run: Whether the job has started, be it that it begins anew just now.
        known: The member of that name that joined before, if any.
        now: The coordinator's clock.
        unlisted: How many evaluators have joined that no list names.
    """
    listed = terms.lists(member)
    if not listed:
        wrong = _unlisted(terms, member, has_run=has_run, known=known, count=unlisted)
        if wrong:
            return Decision(Answer.REFUSE, wrong)
    differs = terms.disagreement(join.settings)
    if differs and (has_run or not listed):
        return Decision(Answer.REFUSE, differs)
    if known and is_living(known, now):
        return Decision(
            Answer.RETRY,
            f"{known.task} has joined already from host {known.name}, and lives; end that one "
            "first, or give this host a place of its own in the list of hosts",
        )
    return Decision(Answer.DIFFERS, differs) if differs else Decision(Answer.ACCEPT)


def is_living(host: Host, now: float) -> bool:
    """Return whether the run that has joined is still there, as far as can be known."""
    return host.state == JOINED and (host.lines > 0 or now - host.seen <= SILENT)


def _unlisted(
    terms: Terms, member: str, *, has_run: bool, known: Host | None, count: int
) -> str | None:
    names = ", ".join(each.id for each in terms.expected)
    if not member.startswith("evaluator-") or not terms.unlisted_evaluators:
        return f"{member} is none of those whom the chief expects: {printable(names, longest=500)}"
    if known is None and count >= _MOST_UNLISTED:
        return f"{count} evaluators that no list names have joined already"
    if known is None and has_run and not terms.late_evaluators:
        return (
            f"the job runs already, and its list of hosts does not name {member}; list it, or "
            "start it before the last of the listed hosts"
        )
    return None
