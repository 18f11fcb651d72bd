"""The condition under which a run ends early, as `--early-stop 5:0.001` gives it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainer.config.errors import UserError


@dataclass(frozen=True, kw_only=True)
class EarlyStop:
    """The condition under which a run ends before its last step.

    Attributes:
        patience: The number of evaluations in a row that are no better than the best before.
        min_delta: What a better one must be better by more than.
    """

    patience: int
    min_delta: float = 0.0

    @classmethod
    def of(cls, text: str) -> EarlyStop:
        """Read `PATIENCE[:MIN_DELTA]`.

        Raises:
            UserError: It has another form.
        """
        patience, colon, delta = text.partition(":")
        try:
            found = cls(patience=int(patience), min_delta=float(delta if colon else 0))
        except ValueError:
            found = cls(patience=0)
        if found.patience < 1 or not 0 <= found.min_delta < math.inf:
            raise UserError(
                subject=f"--early-stop {text}",
                problem="expected PATIENCE[:MIN_DELTA], such as 5 or 5:0.001",
            )
        return found
