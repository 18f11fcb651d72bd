"""Evaluations during a run and at its end, and where their figures go."""

from __future__ import annotations

import logging
from collections.abc import Callable

from trainer.config import MetricGoal
from trainer.training.controller import Callback
from trainer.training.curves import CurveRecorder, EvaluationPoint
from trainer.training.evaluation import Evaluation
from trainer.training.hypertune import MetricFile
from trainer.training.run_state import RunState
from trainer.training.summaries import Summaries
from trainer.training.time_split import Phase

logger = logging.getLogger(__name__)


class Evaluate(Callback):
    """Evaluates the model, after the last step in any case.

    Args:
        every: Steps between two evaluations.
        evaluate: Returns None if any process was asked to stop meanwhile.
    """

    phase: Phase = "evaluation"
    chief_only = False

    def __init__(self, every: int, evaluate: Callable[[], Evaluation | None]) -> None:
        self.every, self._evaluate = every, evaluate

    def is_due(self, state: RunState) -> bool:
        return super().is_due(state) or state.step == state.steps

    def run(self, state: RunState) -> None:
        state.evaluated(self._evaluate())
        if state.evaluation is None:
            state.stop_requested = True

    def end(self, state: RunState) -> None:
        # A run that goes on from its last checkpoint has not evaluated its weights yet.
        if state.is_complete and state.evaluation is None:
            state.evaluated(self._evaluate())


class FinalTest(Callback):
    """Evaluates on the test data once, where validation data is watched during the training.

    Args:
        evaluate: Returns None if any process was asked to stop meanwhile.
    """

    phase: Phase = "evaluation"
    chief_only = False

    def __init__(self, evaluate: Callable[[], Evaluation | None]) -> None:
        self._evaluate = evaluate

    def end(self, state: RunState) -> None:
        if state.is_complete:
            state.tested_at_end(self._evaluate())


class AfterEvaluation(Callback):
    """Runs whenever the weights have just been evaluated."""

    def is_due(self, state: RunState) -> bool:
        return state.evaluation is not None

    def run(self, state: RunState) -> None:
        assert state.evaluation is not None
        self.evaluated(state, state.evaluation)

    def evaluated(self, state: RunState, evaluation: Evaluation) -> None:
        """React to the results of the evaluation."""
        raise NotImplementedError


class EvaluationCurve(AfterEvaluation):
    """Adds a point to the learning curve of the data that is watched."""

    def __init__(self, curves: CurveRecorder) -> None:
        self._curves = curves

    def evaluated(self, state: RunState, evaluation: Evaluation) -> None:
        point = EvaluationPoint(
            step=state.weights_step,
            seconds=state.progress.train_seconds,
            loss=evaluation.loss,
            accuracy=evaluation.accuracy,
            metrics=evaluation.more,
        )
        self._curves.add_evaluation(point, evaluation.split)

    def end(self, state: RunState) -> None:
        # A run that goes on from its last checkpoint evaluates at the end only.
        if self.is_due(state) and not state.best_restored:
            self.run(state)
        if state.tested:
            self.evaluated(state, state.tested)


class EvaluationLine(AfterEvaluation):
    """Logs the figures of the evaluation, as test accuracy and loss; at the end of the test data.

    With validation data it is that which is evaluated on until then.
    """

    def evaluated(self, state: RunState, evaluation: Evaluation) -> None:
        values = evaluation.by_name
        logger.info(
            "step=%d" + "".join(f" {name}=%.4f" for name in values),
            state.weights_step,
            *values.values(),
            extra={"fields": {"step": state.weights_step, **values}},
        )

    def end(self, state: RunState) -> None:
        if state.tested:
            self.evaluated(state, state.tested)


class EvaluationScalars(AfterEvaluation):
    """Writes these figures for TensorBoard, and closes its file at the end."""

    def __init__(self, summaries: Summaries) -> None:
        self._summaries = summaries

    def evaluated(self, state: RunState, evaluation: Evaluation) -> None:
        self._summaries.write(state.weights_step, **evaluation.by_name)

    def end(self, state: RunState) -> None:
        if state.tested:
            self.evaluated(state, state.tested)
        self._summaries.close()


class TuningMetric(AfterEvaluation):
    """Reports the figure of `--metric`, the accuracy, to a hyperparameter tuning service."""

    def __init__(self, metric_file: MetricFile, goal: MetricGoal) -> None:
        self._metric_file, self._goal = metric_file, goal

    def evaluated(self, state: RunState, evaluation: Evaluation) -> None:
        self._metric_file.report(state.step, evaluation.values[self._goal.name])
