"""Errors by who can mend them; each is printed as one line."""

from __future__ import annotations

# Exit codes of RetryableError and PeerError. Platforms that distinguish such failures (Kubeflow's
# `restartPolicy: ExitCode`) do it by codes of 128 and up; these are of no signal.
RETRY = 200
PEER = 201


class UserError(Exception):
    """A mistake in a flag, variable, file or folder; the program ends with code 2.

    `trainer.cli` prints it as one line without a traceback: `subject: problem; remedy`.

    Attributes:
        subject: The flag, variable or file, with its value where it has one: `--steps 0`. Empty
            where the problem names several.
        problem: What is wrong with it, and what was expected.
        remedy: What to do, as an imperative; None where the problem says it.
    """

    def __init__(self, *, subject: object, problem: str, remedy: str | None = None) -> None:
        super().__init__(str(subject), problem, remedy)
        self.subject = str(subject)
        self.problem = problem
        self.remedy = remedy

    @classmethod
    def from_text(cls, text: str) -> UserError:
        """Return an error whose line another program wrote.

        Args:
            text: `subject: problem; remedy`, of which there may be the problem alone.
        """
        subject, colon, rest = text.partition(": ")
        if not colon:
            subject, rest = "", text
        problem, _, remedy = rest.rpartition("; ")
        return cls(subject=subject, problem=problem or remedy, remedy=remedy if problem else None)

    def __str__(self) -> str:
        text = f"{self.subject}: {self.problem}" if self.subject else self.problem
        return f"{text}; {self.remedy}" if self.remedy else text


class DataError(UserError):
    """Training or test data that is missing, damaged or of the wrong kind."""


class RetryableError(Exception):
    """A failure that a new try may cure, such as a store that does not answer; code 200."""


class PeerError(RetryableError):
    """Another process of the job is gone; code 201, as that is a consequence and not the cause."""
