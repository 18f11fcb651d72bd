"""Decisions after an evaluation: which model is the best, and whether the run ends."""

from __future__ import annotations

import dataclasses
import math

from trainer.config import EarlyStop, MetricGoal
from trainer.training.best_weights import BestWeights
from trainer.training.checkpoint_state import Progress
from trainer.training.controller import Callback
from trainer.training.evaluation import Evaluation
from trainer.training.evaluation_callbacks import AfterEvaluation
from trainer.training.run_state import RunState


class BestModel(AfterEvaluation):
    """Notes the step of the best evaluation by `--metric`, whose checkpoint is kept."""

    chief_only = False

    def __init__(self, goal: MetricGoal, weights: BestWeights | None = None) -> None:
        self._goal, self._weights = goal, weights

    def evaluated(self, state: RunState, evaluation: Evaluation) -> None:
        value, progress = evaluation.values[self._goal.name], state.progress
        is_first = progress.best_step < 0 and not math.isnan(value)
        if is_first or self._goal.is_better(value, progress.best_value):
            state.progress = dataclasses.replace(progress, best_value=value, best_step=state.step)
            if self._weights:
                self._weights.keep()


class StopEarly(AfterEvaluation):
    """Counts evaluations that are no better, and ends the run at `--early-stop`.

    Args:
        condition: Its patience and what counts as better.
        goal: The figure that is compared.
    """

    chief_only = False

    def __init__(self, condition: EarlyStop, goal: MetricGoal) -> None:
        self._condition, self._goal = condition, goal

    def evaluated(self, state: RunState, evaluation: Evaluation) -> None:
        value, progress = evaluation.values[self._goal.name], state.progress
        delta = self._condition.min_delta
        least = value - delta if self._goal.maximize else value + delta
        # A checkpoint of a run without `--early-stop` has no reference.
        is_first = not progress.waited and progress.reference == Progress.reference
        is_first = is_first and not math.isnan(value)
        if is_first or self._goal.is_better(least, progress.reference):
            progress = dataclasses.replace(progress, waited=0, reference=value)
        else:
            progress = dataclasses.replace(progress, waited=progress.waited + 1)
        state.progress = progress
        is_last = state.step >= state.steps
        state.stopped_early = progress.waited >= self._condition.patience and not is_last


class EndWithBest(Callback):
    """Gives a run that has stopped early the weights of its best evaluation."""

    chief_only = False

    def __init__(self, weights: BestWeights) -> None:
        self._weights = weights

    def end(self, state: RunState) -> None:
        if state.stopped_early and not state.best_restored:
            self._weights.restore(state)


class TargetAccuracy(AfterEvaluation):
    """Ends the run at `--target-accuracy`.

    Args:
        target: None never ends it.
    """

    chief_only = False

    def __init__(self, target: float | None) -> None:
        self._target = target

    def evaluated(self, state: RunState, evaluation: Evaluation) -> None:
        if self._target is not None and evaluation.accuracy is not None:
            state.target_reached = evaluation.accuracy >= self._target
