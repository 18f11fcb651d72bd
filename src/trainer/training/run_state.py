"""The position of a run and what its callbacks have found so far."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainer.config import Split
from trainer.training.checkpoint_state import Progress
from trainer.training.time_split import TimeSplit

# The score of a classification.
ACCURACY = "accuracy"

if TYPE_CHECKING:
    from trainer.training.answers import Answers
    from trainer.training.evaluation import Evaluation


@dataclass(frozen=True, kw_only=True)
class CallResult:
    """Some training steps, taken in one call of the compiled function.

    Attributes:
        losses: Plain loss of each step's batch, over all processes: float64 [steps].
        scores: Score of each step's batch, as the share whose class is right: float64 [steps].
        seconds: Time of the call, the mean over the processes.
        input_seconds: The part of it that was spent on waiting for data, the mean as well.
        exchange_seconds: The part that was spent until the gradients of all processes were summed,
            the wait for slower ones included, the mean as well; 0 if the strategy does not tell.
        rank_seconds: What was left for each process's own work, float64 [processes]; empty if the
            strategy does not tell.
        cpu_seconds: Processor time of the call, the sum over the processes.
        stop_requested: True if any process was asked to stop.
    """

    losses: np.ndarray
    scores: np.ndarray
    seconds: float
    input_seconds: float
    cpu_seconds: float
    stop_requested: bool
    exchange_seconds: float = 0.0
    rank_seconds: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(kw_only=True)
class RunState:
    """The state of a run. The controller advances it, callbacks read it, and some set a field.

    Attributes:
        steps: Steps of the whole run.
        batch_size: Examples in a step of all processes together.
        log_every: Steps over which loss and speed are averaged.
        progress: Steps and examples done, and the best evaluation: what a checkpoint keeps.
        stop_requested: True if any process was asked to stop: the run ends early.
        target_reached: True if the accuracy has reached `--target-accuracy`: it ends, too.
        ended_by_module: True if a callback of the module has ended the run.
        stopped_early: True if `--early-stop` has ended the run.
        best_restored: True if the weights are those of the best evaluation, not of the last step.
        evaluation: Of the weights as they are now, on the data that is watched; None if these have
            not been evaluated.
        tested: That on the test data at the end, where validation data is watched meanwhile.
        saved_step: The step of the last checkpoint that this process has written; -1 before.
        answered: The answers of the last evaluation that was finished, and its step; None before.
        answered_split: The data of that evaluation.
        train_loss: Mean loss of the steps since the last multiple of `log_every`, as plain
            as that of the test set: without smoothed labels and regularization. None before any
            step.
        train_score: Mean of their scores; None before any step.
        score: The name of the score, see `Task`; None if there is none.
        time: Where the time of this process goes.
        exported: The model or archive on local disk; None before the export, and on other
            processes than the chief.
    """

    steps: int
    batch_size: int
    log_every: int
    progress: Progress
    stop_requested: bool = False
    target_reached: bool = False
    ended_by_module: bool = False
    stopped_early: bool = False
    best_restored: bool = False
    evaluation: Evaluation | None = None
    tested: Evaluation | None = None
    saved_step: int = -1
    answered: tuple[int, Answers] | None = None
    answered_split: Split = "test"
    train_loss: float | None = None
    train_score: float | None = None
    score: str | None = ACCURACY
    time: TimeSplit = field(default_factory=TimeSplit)
    exported: Path | None = None
    _losses: list[float] = field(default_factory=list)
    _scores: list[float] = field(default_factory=list)
    _seconds: float = 0.0
    _rank_seconds: np.ndarray = field(default_factory=lambda: np.zeros(0))
    _all_rank_seconds: np.ndarray = field(default_factory=lambda: np.zeros(0))
    _counted: int = 0

    @property
    def step(self) -> int:
        """Steps done."""
        return self.progress.step

    @property
    def is_complete(self) -> bool:
        """True if nothing is left to train."""
        ended = self.target_reached or self.ended_by_module or self.stopped_early
        return self.step >= self.steps or ended

    @property
    def weights_step(self) -> int:
        """Steps that the weights have."""
        return self.progress.best_step if self.best_restored else self.step

    @property
    def is_over(self) -> bool:
        """True if no further step is to be taken."""
        return self.is_complete or self.stop_requested

    @property
    def images_per_second(self) -> float:
        """Examples in a second of the steps since the last progress line."""
        return len(self._losses) * self.batch_size / self._seconds

    @property
    def train_accuracy(self) -> float | None:
        """Share of the examples whose class was right; None before any step and without classes."""
        return self.train_score if self.score == ACCURACY else None

    @property
    def train_scores(self) -> dict[str, float]:
        """The mean score by its name in the log; empty if there is none."""
        if self.score is None or self.train_score is None:
            return {}
        return {f"train_{self.score}": self.train_score}

    @property
    def train_more(self) -> dict[str, float]:
        """The mean score by its own name where that is not the accuracy."""
        if self.score in (None, ACCURACY) or self.train_score is None:
            return {}
        return {str(self.score): self.train_score}

    def evaluated(self, evaluation: Evaluation | None) -> None:
        """Take note of an evaluation of the weights as they are; of None if it was given up."""
        self.evaluation = evaluation
        self._keep_answers(evaluation)

    def tested_at_end(self, evaluation: Evaluation | None) -> None:
        """Take note of the evaluation on the test data; of None if it was given up."""
        self.tested = evaluation
        self._keep_answers(evaluation)

    def _keep_answers(self, evaluation: Evaluation | None) -> None:
        if evaluation and evaluation.answers:
            self.answered = self.weights_step, evaluation.answers
            self.answered_split = evaluation.split

    def restored(self, step: int) -> None:
        """Take note that the weights are those of an earlier step, the best one."""
        assert step == self.progress.best_step
        self.best_restored, self.evaluation = True, None

    @property
    def evaluations(self) -> dict[Split, Evaluation]:
        """The evaluations of the weights as they are now, by the data."""
        return {each.split: each for each in (self.evaluation, self.tested) if each}

    @property
    def rank_speeds(self) -> list[float]:
        """Examples in a second of each process's own work, as `images_per_second`; or none."""
        return self._speeds(len(self._losses), self._rank_seconds)

    @property
    def all_rank_speeds(self) -> list[float]:
        """The same of all steps that this process has taken."""
        return self._speeds(self._counted, self._all_rank_seconds)

    def _speeds(self, steps: int, seconds: np.ndarray) -> list[float]:
        own = steps * self.batch_size / max(1, len(seconds))
        return [own / each for each in seconds.tolist()] if np.all(seconds > 0) else []

    def advance(self, result: CallResult) -> None:
        """Count the steps of one call."""
        if self.step % self.log_every == 0:
            self._losses, self._scores, self._seconds = [], [], 0.0
            self._rank_seconds = np.zeros(0)
        self._losses += result.losses.tolist()
        self._scores += result.scores.tolist()
        self._seconds += result.seconds
        self.time.add("input", result.input_seconds)
        self.time.add("exchange", result.exchange_seconds)
        busy = result.seconds - result.input_seconds - result.exchange_seconds
        self.time.add("compute", busy)
        self._rank_seconds = _added(self._rank_seconds, result.rank_seconds)
        self._all_rank_seconds = _added(self._all_rank_seconds, result.rank_seconds)
        self._counted += len(result.losses)
        self.train_loss = float(np.mean(self._losses))
        self.train_score = float(np.mean(self._scores))
        count, progress = len(result.losses), self.progress
        self.progress = dataclasses.replace(
            progress,
            step=progress.step + count,
            examples=progress.examples + count * self.batch_size,
            train_cpu_seconds=progress.train_cpu_seconds + result.cpu_seconds,
            train_seconds=progress.train_seconds + result.seconds,
        )
        # An evaluation is of the weights as they were then.
        self.evaluation = None
        self.stop_requested = result.stop_requested


def _added(sums: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Return the sums of what may be empty before the first addition."""
    return sums + more if sums.size else more
