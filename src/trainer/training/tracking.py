"""Sends a run to an MLflow tracking server, where the job names one."""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from trainer.config import Job
from trainer.training import preflight
from trainer.training.controller import Callback
from trainer.training.destination import Destination
from trainer.training.export import sample_of
from trainer.training.mlflow_model import Example, example_of
from trainer.training.mlflow_run import MlflowRun, TrackingTarget
from trainer.training.run_state import RunState
from trainer.training.summaries import hparams_shown
from trainer.training.trainer import Trainer

logger = logging.getLogger(__name__)


class TrackedRun(Callback):
    """Sends hyperparameters, and the metrics of steps and evaluations.

    Args:
        job: Complete, with an `mlflow_uri`.
        learning_rate: Returns the rate of the step to come.
        folder: The folder that the run's results are finally in, as a path or url.
    """

    def __init__(self, job: Job, *, learning_rate: Callable[[], float], folder: str) -> None:
        assert job.mlflow_uri is not None
        self._job, self._learning_rate = job, learning_rate
        self.every = job.log_steps
        self._run: MlflowRun | None = None
        self._target = TrackingTarget(
            uri=job.mlflow_uri,
            experiment=job.mlflow_experiment,
            run_id=job.mlflow_run,
            id_folder=Path(job.checkpoint_dir) if job.checkpoint_dir else None,
            remedy=_later(job, folder),
        )

    def begin(self, state: RunState) -> None:
        self._run = MlflowRun(self._target, step=state.step)
        self._run.log_params(hparams_shown(self._job))

    def is_due(self, state: RunState) -> bool:
        return state.evaluation is not None or self._is_point(state)

    def run(self, state: RunState) -> None:
        assert self._run is not None
        if self._is_point(state) and state.train_loss is not None:
            self._run.log_metrics(
                state.step,
                loss=state.train_loss,
                **state.train_scores,
                images_per_second=state.images_per_second,
                learning_rate=self._learning_rate(),
            )
        if evaluation := state.evaluation:
            self._run.log_metrics(state.step, **evaluation.by_name)

    def _is_point(self, state: RunState) -> bool:
        return state.step % self._job.log_steps == 0 or state.is_over

    def end(self, state: RunState) -> None:
        assert self._run is not None
        if state.tested:
            self._run.log_metrics(state.weights_step, **state.tested.by_name)

    def log_model(self, path: Path, example: Example | None) -> None:
        """Send the exported model, see `MlflowRun.log_model`."""
        if self._run:
            self._run.log_model(path, example)

    def close(self, status: str) -> None:
        """Send the files of the run, and how the run has ended."""
        if self._run is None:
            return
        if status != "FAILED":
            folder = preflight.output_dir(self._job)
            self._run.log_files(folder)
        self._run.close(status)
        if status != "FAILED":
            self._run.keep_id(folder)


def _later(job: Job, folder: str) -> str:
    """Return the command that sends a run from its folder."""
    command = ["trainer", "report", folder, "--to-mlflow", job.mlflow_uri or ""]
    if job.mlflow_experiment:
        command += ["--experiment", job.mlflow_experiment]
    return shlex.join(command)


@contextlib.contextmanager
def tracked(
    trainer: Trainer, state: RunState, destination: Destination
) -> Iterator[list[Callback]]:
    """Yield the callbacks that send a run to a server, and send its files after the block.

    Args:
        trainer: Its job says where to; only the chief sends.
        state: The state of the run.
        destination: Knows where the run's folder finally is.
    """
    if not trainer.job.mlflow_uri or not trainer.strategy.is_chief:
        yield []
        return
    folder = destination.output_folder(preflight.output_dir(trainer.job))
    run = TrackedRun(trainer.job, learning_rate=trainer.learning_rate, folder=folder)
    status = "FAILED"
    try:
        yield [run]
        status = "FINISHED" if state.is_complete else "KILLED"
        if state.is_complete and state.exported and state.exported.is_dir():
            run.log_model(state.exported, _example(trainer, state.exported))
    finally:
        run.close(status)


def _example(trainer: Trainer, path: Path) -> Example | None:
    """Return an example of the data for an exported model, or None if that fails."""
    try:
        return example_of(trainer.module, sample_of(trainer.data.unseen.dataset), path)
    except Exception as error:
        # The model is trained and written: what is only shown beside it may not fail the run.
        logger.debug("MLflow: no input example", exc_info=error)
        return None
