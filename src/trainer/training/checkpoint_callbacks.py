"""Checkpoints during a run, and their copies where the job wants them."""

from __future__ import annotations

from trainer.training.checkpoint import Checkpoints
from trainer.training.controller import Callback
from trainer.training.destination import Destination
from trainer.training.run_state import RunState
from trainer.training.time_split import Phase


class SaveCheckpoint(Callback):
    """Writes a checkpoint: at intervals, of the best model, and of the last step.

    Args:
        every: Steps between two checkpoints.
        checkpoints: None writes none.
    """

    phase: Phase = "checkpoints"

    def __init__(self, every: int, checkpoints: Checkpoints | None) -> None:
        self.every, self._checkpoints = every, checkpoints

    def is_due(self, state: RunState) -> bool:
        is_best = state.progress.best_step == state.step
        return super().is_due(state) or is_best or state.is_complete

    def run(self, state: RunState) -> None:
        if self._checkpoints:
            self._checkpoints.save(state.progress)
            state.saved_step = state.step

    def end(self, state: RunState) -> None:
        if state.step and not state.is_complete:
            self.run(state)


class CopyCheckpoint(Callback):
    """Copies a new checkpoint, and the TensorBoard file, to where the job wants them."""

    phase: Phase = "checkpoints"

    def __init__(self, destination: Destination) -> None:
        self._destination = destination

    def is_due(self, state: RunState) -> bool:
        return state.saved_step == state.step

    def run(self, state: RunState) -> None:
        self._destination.checkpoint_written()

    def end(self, state: RunState) -> None:
        if self.is_due(state) and not state.is_complete:
            self.run(state)
