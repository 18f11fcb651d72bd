"""Train, evaluate and export one model: `train_and_evaluate` reads from top to bottom.

The loop is our own and works on any model, optimizer and data set, so that every way to distribute
can use it. `Trainer` takes steps, many in one compiled call; between calls `Controller` runs the
callbacks that evaluate, write checkpoints and decide whether to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from trainer.config import Job
from trainer.distribution import SINGLE_PROCESS, Strategy
from trainer.models import recipes
from trainer.runtime import default_precision, log, never_stopped
from trainer.training import consensus, preflight, trained_with
from trainer.training.callbacks import make_callbacks
from trainer.training.controller import Callback, Controller
from trainer.training.curves import CurveRecorder
from trainer.training.destination import LOCAL, Destination
from trainer.training.export import export, sample_of
from trainer.training.export_errors import naming_module
from trainer.training.report import log_start, metrics_of, write_metrics, write_page
from trainer.training.result import TrainingResult
from trainer.training.resume import (
    finished_before,
    initial_state,
    open_checkpoints,
    rebuild_as_trained,
)
from trainer.training.run_details import gather_details, write_pictures
from trainer.training.run_origin import RunOrigin
from trainer.training.run_state import RunState
from trainer.training.time_split import TimeSplit
from trainer.training.tracking import tracked
from trainer.training.trained_with import History
from trainer.training.trainer import Trainer


def train_and_evaluate(
    job: Job,
    *,
    strategy: Strategy = SINGLE_PROCESS,
    stop_requested: Callable[[], bool] = never_stopped,
    destination: Destination = LOCAL,
    callbacks: Sequence[Callback] = (),
    origin: RunOrigin | None = None,
) -> TrainingResult:
    """Run one job from its data to a SavedModel and a report.

        from trainer import Hparams, Job, train_and_evaluate
        result = train_and_evaluate(Job(hparams=Hparams(model="fast"), train=("data/mnist",)))

    Args:
        job: On local paths. Hyperparameters that are not given come from the model's recipe.
        strategy: The way that processes share the work, by default one process alone. Every process
            calls this with the same job; those that are not the chief write nothing.
        stop_requested: Returns True to end the run early; asked between calls of the inner loop.
        destination: Copies results to where they belong, if that is not on local disk.
        callbacks: Further side effects between steps, after those of `make_callbacks`.
        origin: When and how the run began, for its report; by default now, by this call.

    Returns:
        The contents of `metrics.json`, and the model. `stopped` is true if the run ended early; one
        stopped before its first step writes nothing, and returns `stopped` and `steps` only.

    Raises:
        UserError: The data, a checkpoint or a setting is not as it should be.
        PeerError: Another process of the job is gone.
        ExportError: The exported model does not answer as the trained one does.
        OSError: A folder cannot be written.
    """
    if not log.is_set_up():
        log.begin(job.verbosity, form=job.log_format)
    split = TimeSplit(origin.began if origin else None)
    job = recipes.complete(job, precision=default_precision(tf))
    trainer = Trainer(job, strategy=strategy, stop_requested=stop_requested)
    # The functions of a user's module have run.
    log.enable()
    if strategy.is_chief:
        log_start(trainer)

    history, curves = History(trained_with.of(trainer.job, trainer.data)), CurveRecorder()
    checkpoints, progress = open_checkpoints(trainer, history, curves)
    state = initial_state(trainer, progress, checkpoints, time=split)
    if report := finished_before(trainer, state, destination):
        return TrainingResult(report, trainer.model, _page(trainer))
    rebuild_as_trained(trainer, state, history)
    trainer.start(state.progress)

    own = make_callbacks(trainer, curves=curves, checkpoints=checkpoints, destination=destination)
    with tracked(trainer, state, destination) as tracking:
        state.time.begin_steps()
        Controller(trainer, state, (*own, *tracking, *callbacks), is_chief=strategy.is_chief).run()
        if not state.step:
            return TrainingResult({"stopped": True, "steps": 0}, trainer.model)
        found = metrics_of(trainer, state, history, curves) | _origin(trainer, origin)
        found = _export_and_report(trainer, state, found, destination)
    return TrainingResult(found, trainer.model, _page(trainer))


def _export_and_report(
    trainer: Trainer,
    state: RunState,
    metrics: dict[str, Any],
    destination: Destination,
) -> dict[str, Any]:
    """Compare the weights of all processes; on the chief, export the model and write the report."""
    metrics["weights_crc32c"] = consensus.check_equal(trainer.strategy, trainer.model)
    details = gather_details(trainer, state, metrics)
    if trainer.strategy.is_chief:
        with state.time.measure("export"):
            state.exported = _export(trainer)
            metrics["model_path"] = destination.model_written(state.exported)
        metrics["time_split"] = state.time.as_json()
        metrics["warnings"] = log.warnings()
        folder = preflight.output_dir(trainer.job)
        write_metrics(folder, metrics)
        if trainer.job.report:
            write_pictures(folder, trainer, details, metrics["weights_crc32c"])
            write_page(folder)
    return metrics


def _page(trainer: Trainer) -> Path | None:
    """Return where the page of the run is, if one was made."""
    page = preflight.output_dir(trainer.job) / "report.html"
    return page if trainer.job.report and page.exists() else None


def _origin(trainer: Trainer, origin: RunOrigin | None) -> dict[str, Any]:
    """Return what the report says of the origin of a run; nothing for one that a notebook began."""
    return origin.as_json(trainer.job) if origin else {}


def _export(trainer: Trainer) -> Path:
    """Write the SavedModel into the local model folder, and compare it on some examples."""
    job = trainer.job
    with naming_module(trainer.module, checkpoints=job.checkpoint_dir):
        return export(
            trainer.model,
            module=trainer.module,
            hparams=job.hparams,
            model_dir=Path(job.model_dir),
            sample=sample_of(trainer.data.unseen.dataset),
            class_names=trainer.data.all_class_names,
            layout=job.layout,
            device=trainer.strategy.io_device,
        )
