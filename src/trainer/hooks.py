"""What platforms want to be told by the training loop, and what they tell it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Small callables that the loop calls; by default none does anything.

    Attributes:
        stopped: Whether to end after the step under way; asked between calls.
        evaluated: Called with step, accuracy and loss after each evaluation.
        saved: Called after each checkpoint that was written, or by an evaluator evaluated.
        exported: Called with the folder of the new model; returns where it finally is.
    """

    stopped: Callable[[], bool] = lambda: False
    evaluated: Callable[[int, float, float], None] = lambda step, accuracy, loss: None
    saved: Callable[[], None] = lambda: None
    exported: Callable[[Path], str] = str


NO_HOOKS = Hooks()
