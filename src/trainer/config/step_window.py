"""Ranges of steps, as `--profile 100:110` gives them."""

from __future__ import annotations

import re

from trainer.config.errors import UserError


def step_range(text: str, *, flag: str) -> tuple[int, int]:
    """Return the first and the last step of `FIRST:LAST`.

    Raises:
        UserError: It is not two whole numbers from 1 on, the smaller one first.
    """
    match = re.fullmatch(r"([0-9]{1,15}):([0-9]{1,15})", text)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= first <= last:
        raise UserError(
            subject=f"{flag} {text}",
            problem="expected FIRST:LAST, two steps from 1 on, such as 100:110",
        )
    return first, last
