"""The side effects of a run, and the list of them in the order in which they run."""

from __future__ import annotations

from trainer.config import EarlyStop, MetricGoal, Trial
from trainer.training.best_weights import BestWeights
from trainer.training.checkpoint import Checkpoints
from trainer.training.checkpoint_callbacks import CopyCheckpoint, SaveCheckpoint
from trainer.training.controller import Callback
from trainer.training.curves import CurveRecorder
from trainer.training.deciding_callbacks import (
    BestModel,
    EndWithBest,
    StopEarly,
    TargetAccuracy,
)
from trainer.training.destination import Destination
from trainer.training.evaluation_callbacks import (
    Evaluate,
    EvaluationCurve,
    EvaluationLine,
    EvaluationScalars,
    FinalTest,
    TuningMetric,
)
from trainer.training.hypertune import MetricFile
from trainer.training.module_callbacks import module_callbacks
from trainer.training.profile import Profile
from trainer.training.progress_line import ProgressLine
from trainer.training.step_callbacks import RunHparams, TrainingCurve, TrainingScalars
from trainer.training.summaries import Summaries
from trainer.training.trainer import Trainer


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
