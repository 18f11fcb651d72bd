"""TensorFlow's profiler over some steps of a run, as `--profile 100:110` asks for it."""

from __future__ import annotations

import logging
from typing import Self

import tensorflow as tf

from trainer.config import Job, UserError, step_range
from trainer.training.controller import Callback
from trainer.training.run_state import RunState

logger = logging.getLogger(__name__)


class Profile(Callback):
    """Runs the profiler from before the first step of a range until after its last.

    Args:
        first: The first step that is profiled.
        last: The last one.
        folder: The folder that TensorBoard reads; None on processes that write nothing.
    """

    def __init__(self, first: int, last: int, folder: str | None) -> None:
        self._first, self._last, self._folder = first, last, folder
        self.stops = (first - 1, last)
        self._is_on = False

    @classmethod
    def of(cls, job: Job, *, steps: int) -> Self:
        """Return the profile that a job asks for.

        Args:
            job: With a `profile`.
            steps: Steps of the whole run.

        Raises:
            UserError: The run has fewer steps.
        """
        assert job.profile is not None
        first, last = step_range(job.profile, flag="--profile")
        if last > steps:
            raise UserError(
                subject=f"--profile {job.profile}",
                problem=f"the run has {steps} steps",
                remedy="name steps of the run",
            )
        return cls(first, last, job.log_dir)

    def begin(self, state: RunState) -> None:
        self._start_or_stop(state.step)

    def is_due(self, state: RunState) -> bool:
        return True

    def run(self, state: RunState) -> None:
        self._start_or_stop(state.step)

    def end(self, state: RunState) -> None:
        # A run that is stopped in between shows what it has got.
        self._start_or_stop(self._last)

    def _start_or_stop(self, step: int) -> None:
        inside = self._first - 1 <= step < self._last
        if inside and not self._is_on and self._folder:
            tf.profiler.experimental.start(self._folder)
            self._is_on = True
        elif not inside and self._is_on:
            tf.profiler.experimental.stop()
            self._is_on = False
            logger.info("profile of steps %d to %d: %s", self._first, self._last, self._folder)
