"""The roles of a job's pods."""

from __future__ import annotations

from trainer.platforms.submission import Submission


def roles_of(submission: Submission) -> list[tuple[str, int]]:
    """Return the roles with the number of their pods; one without a name where all are equal."""
    if not (submission.parameter_servers or submission.evaluators):
        return [("", submission.hosts)]
    found = {
        "chief": 1,
        "worker": submission.hosts - 1,
        "ps": submission.parameter_servers,
        "evaluator": submission.evaluators,
    }
    return [(role, count) for role, count in found.items() if count]


def pods_text(roles: list[tuple[str, int]]) -> str:
    """Return what TRAINER_PODS says."""
    return " ".join(f"{role}={count}" if role else str(count) for role, count in roles)
