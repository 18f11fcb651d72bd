"""The side effects of a run, one class each, and the list of them in the order they run."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Collection

from trainer.config import EarlyStop, Job, MetricGoal, Split, Trial
from trainer.training.best_weights import BestWeights
from trainer.training.checkpoint import Checkpoints
from trainer.training.checkpoint_state import Progress
from trainer.training.controller import Callback
from trainer.training.curves import CurveRecorder, EvaluationPoint, TrainingPoint
from trainer.training.destination import Destination
from trainer.training.evaluation import Evaluation
from trainer.training.hypertune import MetricFile
from trainer.training.module_callbacks import module_callbacks
from trainer.training.profile import Profile
from trainer.training.progress_line import ProgressLine
from trainer.training.run_state import RunState
from trainer.training.summaries import Summaries, hparams_shown
from trainer.training.time_split import Phase
from trainer.training.trainer import Trainer

logger = logging.getLogger(__name__)


def make_callbacks(
    trainer: Trainer,
    *,
    curves: CurveRecorder,
    checkpoints: Checkpoints | None,
    destination: Destination,
) -> list[Callback]:
    """Return the callbacks of a training run, in the order in which they run.

    A checkpoint comes after the evaluation, so that it holds the best accuracy, and the copy to a
    remote folder comes after the checkpoint and the TensorBoard file that it copies.

    Args:
        trainer: Evaluates; its job says how often. It does so once an epoch by default.
        curves: Keeps the learning curves.
        checkpoints: Writes checkpoints; None on processes other than the chief, and without a
            folder.
        destination: Copies what is written.
    """
    job, data, goal = trainer.job, trainer.data, trainer.run_task.goal
    summaries = Summaries(job.log_dir if trainer.strategy.is_chief else None)
    eval_every = job.eval_every or data.epoch_steps
    checkpoint_every = job.checkpoint_every or eval_every
    if job.cluster.evaluator and job.target_accuracy is None and job.early_stop is None:
        # The evaluator evaluates the checkpoints, so the loop does so at the end only. What may end
        # the run, however, can do so only if the loop itself evaluates.
        eval_every = data.steps
    profile = [Profile.of(job, steps=data.steps)] if job.profile else []
    best = BestWeights(trainer, checkpoints) if job.early_stop else None
    evaluate: list[Callback] = [EndWithBest(best)] if best else []
    if data.watched:
        evaluate.append(Evaluate(eval_every, trainer.evaluate))
    if data.validation and data.test:
        evaluate.append(FinalTest(lambda: trainer.evaluate("test")))
    return [
        *profile,
        ProgressLine(
            job.log_every,
            target_accuracy=job.target_accuracy,
            epoch_steps=data.epoch_steps,
            watched=f"{data.watched} {goal.name}",
        ),
        RunHparams(job, summaries, splits=data.splits, goal=goal),
        TrainingScalars(job.log_steps, summaries, learning_rate=trainer.learning_rate),
        TrainingCurve(job.log_steps, trainer.learning_rate, curves),
        *evaluate,
        EvaluationCurve(curves),
        *evaluation_callbacks(summaries, job.trial, goal),
        *([StopEarly(EarlyStop.of(job.early_stop), goal)] if job.early_stop else ()),
        BestModel(goal, best),
        TargetAccuracy(job.target_accuracy),
        *module_callbacks(trainer.module, trainer.model, epoch_steps=data.epoch_steps),
        SaveCheckpoint(checkpoint_every, checkpoints),
        CopyCheckpoint(destination),
    ]


def evaluation_callbacks(
    summaries: Summaries, trial: Trial | None, goal: MetricGoal
) -> list[Callback]:
    """Return the callbacks that pass on an evaluation, whether of a run or of an evaluator.

    Args:
        summaries: Writes for TensorBoard.
        trial: Of a tuning service that reads a metric file; None if there is none.
        goal: Names the figure for that service.
    """
    tuning = [TuningMetric(MetricFile(trial), goal)] if trial else []
    return [EvaluationLine(), EvaluationScalars(summaries), *tuning]


class RunHparams(Callback):
    """Begins the file for TensorBoard: hyperparameters, and the step from which points count."""

    def __init__(
        self, job: Job, summaries: Summaries, *, splits: Collection[Split], goal: MetricGoal
    ) -> None:
        self._job, self._summaries = job, summaries
        evaluated = [split for split in splits if split != "train"]
        names = dict.fromkeys((goal.name, "loss"))
        # Without other data runs are compared by the loss of their training.
        self._metrics = [f"{split}_{name}" for split in evaluated for name in names] or ["loss"]

    def begin(self, state: RunState) -> None:
        self._summaries.begin(state.step)
        self._summaries.write_hparams(hparams_shown(self._job), self._metrics)

    def end(self, state: RunState) -> None:
        if state.is_complete:
            self._summaries.write_success()


class TrainingScalars(Callback):
    """Writes loss, accuracy, speed and learning rate for TensorBoard, at the end as well.

    Args:
        every: Steps between two points.
        summaries: Writes them.
        learning_rate: Returns the rate of the step to come.
    """

    def __init__(
        self, every: int, summaries: Summaries, *, learning_rate: Callable[[], float]
    ) -> None:
        self.every, self._summaries = every, summaries
        self._learning_rate = learning_rate

    def is_due(self, state: RunState) -> bool:
        return super().is_due(state) or state.is_over

    def run(self, state: RunState) -> None:
        assert state.train_loss is not None
        if self._summaries.is_on:
            self._summaries.write(
                state.step,
                loss=state.train_loss,
                **state.train_scores,
                images_per_second=state.images_per_second,
                learning_rate=self._learning_rate(),
            )


class TrainingCurve(Callback):
    """Adds a point to the learning curve of the training data, after the last step as well."""

    def __init__(
        self, every: int, learning_rate: Callable[[], float], curves: CurveRecorder
    ) -> None:
        self.every, self._learning_rate, self._curves = every, learning_rate, curves

    def is_due(self, state: RunState) -> bool:
        return super().is_due(state) or state.is_over

    def run(self, state: RunState) -> None:
        assert state.train_loss is not None
        self._curves.add_training(
            TrainingPoint(
                step=state.step,
                seconds=state.progress.train_seconds,
                loss=state.train_loss,
                accuracy=state.train_accuracy,
                learning_rate=self._learning_rate(),
                images_per_second=state.images_per_second,
                metrics=state.train_more,
            )
        )


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
