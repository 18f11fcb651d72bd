"""The two loops of a run: the trainer's inner loop takes steps, the controller's outer loop acts.

    inner loop    Trainer.train: one compiled call of as many steps as fit in two seconds
    outer loop    Controller.run: between calls, whatever has to be done besides training

The controller knows no side effect by name. Each is a `Callback`; `callbacks.make_callbacks` lists
them in the order in which they run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from trainer.training.run_state import CallResult, RunState
from trainer.training.time_split import Phase

logger = logging.getLogger(__name__)


class Callback:
    """One side effect of a run, such as a line of progress or a checkpoint.

    All processes have the same callbacks, so that all of them stop at the same steps; those that
    only the chief needs run there alone.

    Attributes:
        every: The inner loop stops at each multiple of so many steps, for this callback to be run;
            0 if other callbacks decide where it stops.
        stops: Further steps at which the inner loop stops for this callback.
        phase: The account of the time that it takes, see `TimeSplit`.
        chief_only: True if only the chief runs it. Whatever exchanges numbers between processes
            must run in all of them.
    """

    every: int = 0
    stops: Sequence[int] = ()
    phase: Phase = "other"
    chief_only: bool = True

    def begin(self, state: RunState) -> None:
        """Do what comes before the first step of this process."""

    def is_due(self, state: RunState) -> bool:
        """Return whether to run now; asked after each call of the inner loop."""
        return self.every > 0 and state.step % self.every == 0

    def run(self, state: RunState) -> None:
        """Take effect: write, evaluate, copy or report."""

    def end(self, state: RunState) -> None:
        """Do what remains when no step is left, or the run was asked to stop."""


def run_due(callbacks: Iterable[Callback], state: RunState) -> None:
    """Run the callbacks that are due, in order; one may make a later one due through the state."""
    for callback in callbacks:
        if callback.is_due(state):
            logger.debug("step=%d runs %s", state.step, type(callback).__name__)
            with state.time.measure(callback.phase):
                callback.run(state)


class InnerLoop(Protocol):
    """The part of a trainer that the controller needs."""

    def train(self, most: int, state: RunState) -> CallResult:
        """Take some steps, `most` at most."""


class Controller:
    """The outer loop.

    Args:
        trainer: Takes the steps.
        state: The state of the run; advanced in place.
        callbacks: In the order in which they run.
        is_chief: False leaves out those of the chief.
    """

    def __init__(
        self,
        trainer: InnerLoop,
        state: RunState,
        callbacks: Sequence[Callback],
        *,
        is_chief: bool = True,
    ) -> None:
        self._trainer, self._state = trainer, state
        self._intervals = [callback.every for callback in callbacks if callback.every]
        self._stops = sorted(step for callback in callbacks for step in callback.stops)
        self._callbacks = [c for c in callbacks if is_chief or not c.chief_only]

    def run(self) -> None:
        """Train until the last step, the target accuracy or a request to stop."""
        state = self._state
        for callback in self._callbacks:
            callback.begin(state)
        while not state.is_over:
            state.advance(self._trainer.train(self._next_stop() - state.step, state))
            run_due(self._callbacks, state)
        for callback in self._callbacks:
            with state.time.measure(callback.phase):
                callback.end(state)

    def _next_stop(self) -> int:
        """Return the next step at which some callback may be due."""
        step, steps = self._state.step, self._state.steps
        later = (stop for stop in self._stops if stop > step)
        multiples = ((step // every + 1) * every for every in self._intervals)
        return min(steps, next(later, steps), *multiples)
