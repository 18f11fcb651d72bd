"""Errors by who can correct them; each is printed as one line."""

from __future__ import annotations

# Exit codes of RetryableError and PeerError. Platforms that tell such failures from others
# (Kubeflow's `restartPolicy: ExitCode`) take codes of 128 and up for them. No signal has these.
RETRY_CODE = 200
PEER_CODE = 201


class UserError(Exception):
    """A mistake in a flag, variable, file or folder; the program ends with code 2.

    `trainer.cli` prints it as one line without a traceback: `subject: problem; remedy`.

    Attributes:
        subject: The flag, variable or file, with its value where it has one: `--steps 0`. Empty if
            the problem names several.
        problem: What is wrong with the subject, and what was expected.
        remedy: What to do, as an imperative; None if the problem says it.
    """

    def __init__(self, *, subject: object, problem: str, remedy: str | None = None) -> None:
        super().__init__(str(subject), problem, remedy)
        self.subject = str(subject)
        self.problem = problem
        self.remedy = remedy

    @classmethod
    def from_text(cls, text: str) -> UserError:
        """Return the error that a line describes, written by another process or by argparse.

        Args:
            text: `subject: problem; remedy`; subject and remedy may be missing.
        """
        subject, colon, rest = text.partition(": ")
        if not colon:
            subject, rest = "", text
        problem, _, remedy = rest.rpartition("; ")
        return cls(subject=subject, problem=problem or remedy, remedy=remedy if problem else None)

    def __str__(self) -> str:
        text = f"{self.subject}: {self.problem}" if self.subject else self.problem
        text = f"{text}; {self.remedy}" if self.remedy else text
        # A file's name, or a value in it, may have several lines.
        return " ".join(text.splitlines())


class DataError(UserError):
    """Training or test data that is missing, damaged or of the wrong kind."""


class RetryableError(Exception):
    """A failure that may not recur, such as a store that does not answer; exit code 200."""


class PeerError(RetryableError):
    """Another process of the job has ended; exit code 201, as that process has the cause."""
