"""The lines that show how far a run is, paced by time unless they are asked for by steps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from trainer.runtime import live_bar
from trainer.training.controller import Callback
from trainer.training.run_state import RunState

logger = logging.getLogger(__name__)

# Seconds between two lines: at least, where no number of steps is given, and at most.
SHORTEST, LONGEST = 1.0, 30.0
# Steps after which the inner loop stops where no number of steps is given.
STEPS = 100


class ProgressLine(Callback):
    """Logs loss, speed and the time that is left, and why the run ends before its last step.

    Args:
        every: Steps between two lines; None for at most one a second, the first and the last.
        target_accuracy: The test accuracy that ends the run, if one does.
        epoch_steps: Steps of an epoch.
        watched: The figure by which a run stops early.
        clock: Returns seconds.
    """

    def __init__(
        self,
        every: int | None,
        *,
        target_accuracy: float | None,
        epoch_steps: int,
        watched: str = "test accuracy",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.every = every or STEPS
        self._paced = every is None
        self._target_accuracy, self._epoch_steps = target_accuracy, epoch_steps
        self._watched = watched
        self._clock, self._last = clock, clock()
        self._last_step: int | None = None

    def is_due(self, state: RunState) -> bool:
        passed = self._clock() - self._last
        if passed >= LONGEST or (live_bar.is_on() and passed >= live_bar.PACE):
            return True
        if not self._paced:
            return super().is_due(state)
        if state.is_over:
            return True
        return super().is_due(state) and (self._last_step is None or passed >= SHORTEST)

    def run(self, state: RunState) -> None:
        self._last, self._last_step = self._clock(), state.step
        speed = state.images_per_second
        epoch = state.step / self._epoch_steps
        left = (state.steps - state.step) * state.batch_size / speed
        numbers = {
            "step": state.step,
            "of": state.steps,
            "loss": state.train_loss,
            "images_per_second": speed,
            "epoch": epoch,
            "eta": left,
        }
        scores = state.train_scores
        ranks = _extremes(state.rank_speeds)
        logger.info(
            "step=%d of=%d loss=%.4f images_per_second=%.0f epoch=%.2f eta=%.0fs"
            + "".join(f" {name}=%.4f" for name in scores)
            + (" slowest_rank=%d:%.0f fastest_rank=%d:%.0f" if ranks else ""),
            *numbers.values(),
            *scores.values(),
            *ranks.values(),
            extra={"fields": numbers | scores | ranks},
        )

    def end(self, state: RunState) -> None:
        live_bar.end()
        if self._paced and state.train_loss is not None and state.step != self._last_step:
            self.run(state)
        if state.target_reached:
            target = self._target_accuracy
            logger.info("step=%d reached target_accuracy=%g", state.step, target)
        elif state.ended_by_module:
            logger.info("step=%d ended by a callback of the module", state.step)
        elif state.stopped_early:
            logger.info(
                "step=%d stopped early: no better %s in %d evaluations",
                state.step,
                self._watched,
                state.progress.waited,
            )
        elif not state.is_complete:
            logger.info("stopped at step=%d of=%d", state.step, state.steps)


def _extremes(speeds: Sequence[float]) -> dict[str, float]:
    """Return the slowest and the fastest process with examples in a second; none if unknown."""
    if not speeds:
        return {}
    slowest, fastest = (speeds.index(find(speeds)) for find in (min, max))
    return {
        "slowest_rank": slowest,
        "slowest_images_per_second": speeds[slowest],
        "fastest_rank": fastest,
        "fastest_images_per_second": speeds[fastest],
    }
