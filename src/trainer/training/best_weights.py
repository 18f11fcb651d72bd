"""The weights of the best evaluation, with which a run that stops early ends."""

from __future__ import annotations

import logging

import numpy as np

from trainer.training import consensus
from trainer.training.checkpoint import Checkpoints
from trainer.training.run_state import RunState
from trainer.training.trainer import Trainer

logger = logging.getLogger(__name__)


class BestWeights:
    """Keeps the best weights in the chief's memory; those of an earlier run are in its checkpoint.

    Args:
        trainer: Has the model.
        checkpoints: The chief's; None without a folder, and on other processes.
    """

    def __init__(self, trainer: Trainer, checkpoints: Checkpoints | None) -> None:
        self._trainer, self._checkpoints = trainer, checkpoints
        self._kept: list[np.ndarray] | None = None

    def keep(self) -> None:
        """Keep the weights as they are now."""
        if self._trainer.strategy.is_chief:
            self._kept = self._trainer.model.get_weights()

    def restore(self, state: RunState) -> None:
        """Give the model the weights of the best evaluation; all processes call this.

        Where they cannot be read, the model keeps those of the last step.
        """
        strategy, model, step = (
            self._trainer.strategy,
            self._trainer.model,
            state.progress.best_step,
        )
        is_there = False
        if strategy.is_chief and self._kept is not None:
            model.set_weights(self._kept)
            is_there = True
        elif strategy.is_chief and self._checkpoints:
            is_there = self._checkpoints.load_weights(step)
        if not strategy.sum([float(is_there)])[0]:
            if strategy.is_chief:
                logger.warning("the weights of step=%d are not there: the last are kept", step)
            return
        consensus.broadcast_state(strategy, model, self._trainer.optimizer)
        state.restored(step)
