"""Sends a run to an MLflow tracking server, where the job names one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from trainer.config import Job
from trainer.training import preflight
from trainer.training.controller import Callback
from trainer.training.mlflow_run import MlflowRun, TrackingTarget
from trainer.training.run_state import RunState
from trainer.training.summaries import hparams_shown
from trainer.training.trainer import Trainer

FILES = ("metrics.json", "report.html")


class TrackedRun(Callback):
    """Sends hyperparameters, and the metrics of steps and evaluations.

    Args:
        job: Complete, with an `mlflow_uri`.
        learning_rate: Returns the rate of the step to come.
    """

    def __init__(self, job: Job, *, learning_rate: Callable[[], float]) -> None:
        assert job.mlflow_uri is not None
        self._job, self._learning_rate = job, learning_rate
        self.every = job.log_steps
        self._run: MlflowRun | None = None
        self._target = TrackingTarget(
            uri=job.mlflow_uri,
            experiment=job.mlflow_experiment,
            run_id=job.mlflow_run,
            id_folder=Path(job.checkpoint_dir) if job.checkpoint_dir else None,
        )

    def begin(self, state: RunState) -> None:
        self._run = MlflowRun(self._target, step=state.step)
        self._run.log_params(hparams_shown(self._job))

    def is_due(self, state: RunState) -> bool:
        return state.evaluation is not None or state.step % self._job.log_steps == 0

    def run(self, state: RunState) -> None:
        assert self._run is not None
        if state.step % self._job.log_steps == 0 and state.train_loss is not None:
            self._run.log_metrics(
                state.step,
                loss=state.train_loss,
                images_per_second=state.images_per_second,
                learning_rate=self._learning_rate(),
            )
        if evaluation := state.evaluation:
            self._run.log_metrics(
                state.step, test_accuracy=evaluation.accuracy, test_loss=evaluation.loss
            )

    def close(self, status: str) -> None:
        """Send the files of the run, and how the run has ended."""
        if self._run is None:
            return
        if status != "FAILED":
            folder = preflight.output_dir(self._job)
            self._run.log_files([folder / name for name in FILES])
        self._run.close(status)


@contextlib.contextmanager
def tracked(trainer: Trainer, state: RunState) -> Iterator[list[Callback]]:
    """Yield the callbacks that send a run to a server, and send its files after the block.

    Args:
        trainer: Its job says where to; only the chief sends.
        state: The state of the run.
    """
    if not trainer.job.mlflow_uri or not trainer.strategy.is_chief:
        yield []
        return
    run, status = TrackedRun(trainer.job, learning_rate=trainer.learning_rate), "FAILED"
    try:
        yield [run]
        status = "FINISHED" if state.is_complete else "KILLED"
    finally:
        run.close(status)
