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
from trainer.distribution import ALONE, Strategy
from trainer.models import recipes
from trainer.runtime import default_precision, log, never_stopped
from trainer.training import consensus, preflight, trained_with
from trainer.training.callbacks import make_callbacks
from trainer.training.controller import Callback, Controller
from trainer.training.destination import LOCAL, Destination
from trainer.training.export import export
from trainer.training.report import log_start, metrics_of, write_metrics
from trainer.training.resume import finished_before, initial_state, open_checkpoints
from trainer.training.summaries import Summaries
from trainer.training.trained_with import History
from trainer.training.trainer import Trainer

# Test examples on which the exported model is compared with the trained one.
SAMPLE = 64


def train_and_evaluate(
    job: Job,
    *,
    strategy: Strategy = ALONE,
    stop_requested: Callable[[], bool] = never_stopped,
    destination: Destination = LOCAL,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:
    """Run one job from its data to a SavedModel and a report.

        from trainer import Hparams, Job, train_and_evaluate
        metrics = train_and_evaluate(Job(hparams=Hparams(model="fast"), train=("data/mnist",)))

    In a notebook the job alone is enough; `trainer train` passes the rest.

    Args:
        job: On local paths. Hyperparameters that are not given come from the model's recipe.
        strategy: How the work is shared, by default not at all. Every process that shares it calls
            this with the same job; those that are not the chief write nothing.
        stop_requested: Asked between calls of the compiled step whether to end the run early.
        destination: Copies results to where they belong, if that is not on local disk.
        callbacks: What else to do between steps, after the callbacks of `make_callbacks`.

    Returns:
        What was written to `metrics.json`. Its `stopped` is true if the run ended early; a run that
        was stopped before its first step writes nothing, and returns `stopped` and `steps` only.

    Raises:
        UserError: The data, a checkpoint or a setting is not as it should be.
        PeerError: Another process of the job is gone.
        ExportError: The exported model does not answer as the trained one does.
        OSError: A folder cannot be written.
    """
    if not log.is_set_up():
        log.begin(job.verbosity)
    job = recipes.complete(job, precision=default_precision(tf))
    trainer = Trainer(job, strategy=strategy, stop_requested=stop_requested)
    # The functions of a user's module have run.
    log.enable()
    data = trainer.data
    if strategy.is_chief:
        log_start(trainer)

    history = History(trained_with.of(job, data.train.description))
    checkpoints, progress = open_checkpoints(trainer, history)
    state = initial_state(trainer, progress)
    if report := finished_before(trainer, state, destination):
        return report
    trainer.start(state.progress)

    own_callbacks = make_callbacks(
        job,
        steps=data.steps,
        epoch_steps=data.epoch_steps,
        evaluate=trainer.evaluate,
        checkpoints=checkpoints,
        summaries=Summaries(job.log_dir if strategy.is_chief else None),
        destination=destination,
    )
    every = [*own_callbacks, *callbacks]
    Controller(trainer, state, every, is_chief=strategy.is_chief).run()
    if not state.step:
        return {"stopped": True, "steps": 0}

    digests = consensus.check_equal(strategy, trainer.model)
    metrics = metrics_of(trainer, state, history) | {"weights_crc32c": digests}
    if strategy.is_chief:
        metrics["model_path"] = destination.model_written(_export(trainer))
        write_metrics(preflight.output_dir(job), metrics)
    return metrics


def _export(trainer: Trainer) -> Path:
    """Write the SavedModel into the local model folder, and compare it on some test examples."""
    job, test = trainer.job, trainer.data.test.dataset
    features = tf.nest.map_structure(lambda rows: rows[:SAMPLE], next(iter(test))[0])
    return export(
        trainer.model,
        module=trainer.module,
        hparams=job.hparams,
        model_dir=Path(job.model_dir),
        sample=features,
        layout=job.layout,
        device=trainer.strategy.io_device,
    )
