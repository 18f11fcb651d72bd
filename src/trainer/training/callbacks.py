"""What platforms want to be told by the training loop, and what they tell it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import Job
from trainer.training import earlier_run


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Small callables that the loop calls; by default none does anything.

    Attributes:
        stopped: Whether to end after the step under way; asked between calls.
        evaluated: Called with step, accuracy and loss after each evaluation.
        saved: Called after each checkpoint that was written, or by an evaluator evaluated.
        exported: Called with the folder of the new model; returns where it finally is.
        exported_before: Called with the job where nothing is left to train; returns the report of
            an earlier run whose model is still there.
    """

    stopped: Callable[[], bool] = lambda: False
    evaluated: Callable[[int, float, float], None] = lambda step, accuracy, loss: None
    saved: Callable[[], None] = lambda: None
    exported: Callable[[Path], str] = str
    exported_before: Callable[[Job], dict[str, Any] | None] = earlier_run.find


NO_HOOKS = Hooks()
