"""Records that are looked at to infer the form of all records of a data set."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import DataError


@dataclass(frozen=True)
class Sample:
    """A record that is looked at to infer the form of all.

    Attributes:
        where: Its file.
        number: Its number there.
        raw: The message.
    """

    where: str
    number: int
    raw: bytes

    def wrong(self, problem: str, remedy: str = "") -> DataError:
        """Return the error of a record that is not as expected."""
        return DataError(
            subject=self.where,
            problem=f"record {self.number}: {problem}",
            remedy=remedy or None,
        )
