"""The evaluator: a process that evaluates the checkpoints of a run while that goes on.

It is no member of the cluster of workers and servers; it shares only a folder with the chief.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from trainer.config import Job, Split, UserError
from trainer.distribution import SINGLE_PROCESS
from trainer.models import ModelModule, loader, recipes
from trainer.runtime import POLICIES, StopRequest
from trainer.training import checkpoint_state, inputs, trained_with
from trainer.training.callbacks import evaluation_callbacks
from trainer.training.checkpoint import Checkpoints
from trainer.training.checkpoint_callbacks import CopyCheckpoint
from trainer.training.checkpoint_state import STATE, DamagedError
from trainer.training.controller import Callback, run_due
from trainer.training.destination import LOCAL, Destination
from trainer.training.evaluation import Evaluation, make_evaluate
from trainer.training.optimizers import optimizer_of
from trainer.training.run_data import SplitData
from trainer.training.run_state import RunState
from trainer.training.run_task import run_task_of
from trainer.training.step_errors import call_reading_data
from trainer.training.summaries import Summaries

# Seconds between two looks for a new checkpoint.
LOOK_SECONDS = 1.0


def evaluate_checkpoints(
    job: Job,
    *,
    stop_request: StopRequest,
    refresh: Callable[[], None] = lambda: None,
    destination: Destination = LOCAL,
    callbacks: Sequence[Callback] = (),
) -> int:
    """Evaluate each new checkpoint until the chief has ended, and then its last one.

    Args:
        job: Its `checkpoint_dir` is the folder that the chief writes to.
        stop_request: Set once the chief has written its last checkpoint.
        refresh: Fetches what is new in a remote folder.
        destination: Copies the TensorBoard file.
        callbacks: Further side effects of each evaluation.

    Returns:
        The number of checkpoints that were evaluated.

    Raises:
        UserError: There is no folder of checkpoints, they are of another model, or there is no
            data to evaluate on.
    """
    folder = _checkpoint_folder(job)
    # A GPU here would choose half precision, whose variables may differ from those of the chief.
    job = recipes.complete(job, precision="float32")
    module = loader.load(job.module)
    keras.config.set_dtype_policy(POLICIES[job.hparams.precision])
    split, data = _evaluation_data(job, module)
    checkpoints: Checkpoints | None = None
    summaries = Summaries(f"{job.log_dir}/evaluator" if job.log_dir else None)
    all_callbacks: list[Callback] = []
    step, count = -1, 0
    while True:
        # Asked first: a checkpoint that is written before the request is then found.
        is_last = stop_request()
        refresh()
        if checkpoints is None and (form := _form_trained(job, folder)):
            complete, names = form
            split, data = _evaluation_data(job, module, names) if names else (split, data)
            model = module.keras_model(complete.hparams)
            checkpoints = _open_checkpoints(complete, folder, model)
            run_task = run_task_of(complete, module, model, data.dataset.element_spec)
            evaluate = make_evaluate(model, task=run_task.task, metrics=run_task.metrics)
            own = evaluation_callbacks(summaries, job.trial, run_task.goal)
            all_callbacks = [*own, CopyCheckpoint(destination), *callbacks]
        progress = checkpoints.restore(after=step) if checkpoints else None
        if progress:
            step, count = progress.step, count + 1
            state = RunState(
                steps=step, batch_size=0, log_every=1, progress=progress, saved_step=step
            )
            state.evaluation = _evaluated(evaluate, data, module=module, split=split)
            run_due(all_callbacks, state)
        elif is_last:
            summaries.close()
            return count
        else:
            stop_request.wait(LOOK_SECONDS)


def _evaluated(
    evaluate: Callable[..., Evaluation | None],
    data: SplitData,
    *,
    module: ModelModule,
    split: Split,
) -> Evaluation | None:
    evaluation: Evaluation | None = call_reading_data(
        data.stream, evaluate, data.dataset, split, module=module, split=split
    )
    return evaluation


def _evaluation_data(
    job: Job, module: ModelModule, class_names: tuple[str, ...] = ()
) -> tuple[Split, SplitData]:
    """Return the data to evaluate on during the training."""
    splits: tuple[Split, ...] = ("validation", "test")
    for split in splits:
        data = inputs.evaluation_data(
            job, module, SINGLE_PROCESS, split=split, class_names=class_names
        )
        if data:
            return split, data
    raise UserError(
        subject="--test",
        problem="an evaluator has no data to evaluate on",
        remedy="name some, or start the job without an evaluator",
    )


def _form_trained(job: Job, folder: Path) -> tuple[Job, tuple[str, ...]] | None:
    """Return the job with the images' shape and the classes of the newest checkpoint.

    The test data may lack a class. Returns None if there is no checkpoint yet.
    """
    found = sorted(folder.glob(f"ckpt-*/{STATE}"), reverse=True)
    for file in found:
        try:
            history = trained_with.read(checkpoint_state.read(file.parent).trained)
        except DamagedError:
            continue
        if history:
            last = history[-1]
            hparams = dataclasses.replace(job.hparams, **trained_with.form_of(last.hparams))
            return dataclasses.replace(job, hparams=hparams), last.class_names
    return (job, ()) if found else None


def _open_checkpoints(job: Job, folder: Path, model: keras.Model) -> Checkpoints:
    # The optimizer's variables are in a checkpoint, too: it is recognised by the names of all.
    optimizer = optimizer_of(loader.load(job.module), job.hparams, steps=1)
    optimizer.build(model.trainable_variables)
    return Checkpoints(folder, model=model, optimizer=optimizer, keep=job.keep, alone=False)


def _checkpoint_folder(job: Job) -> Path:
    if not job.checkpoint_dir:
        raise UserError(
            subject="--checkpoint-dir",
            problem="not given, and an evaluator evaluates what the chief writes there",
            remedy="name a folder that both see",
        )
    return Path(job.checkpoint_dir)
