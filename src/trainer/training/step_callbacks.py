"""Figures of the training steps, for TensorBoard and for the learning curve."""

from __future__ import annotations

from collections.abc import Callable, Collection

from trainer.config import Job, MetricGoal, Split
from trainer.training.controller import Callback
from trainer.training.curves import CurveRecorder, TrainingPoint
from trainer.training.run_state import RunState
from trainer.training.summaries import Summaries, hparams_shown


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
