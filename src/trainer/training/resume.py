"""Going on from the checkpoint of an earlier run, or finding that it has left nothing to do."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from trainer.config import EarlyStop, UserError
from trainer.runtime import MASK
from trainer.training import consensus, trained_with
from trainer.training.best_weights import BestWeights
from trainer.training.checkpoint import Checkpoints
from trainer.training.checkpoint_state import Progress
from trainer.training.curves import CurveRecorder
from trainer.training.destination import Destination
from trainer.training.run_state import RunState
from trainer.training.task import ACCURACY
from trainer.training.time_split import TimeSplit
from trainer.training.trained_with import History
from trainer.training.trainer import Trainer

logger = logging.getLogger(__name__)


def open_checkpoints(
    trainer: Trainer, history: History, curves: CurveRecorder
) -> tuple[Checkpoints | None, Progress]:
    """Load the newest checkpoint, and log what differs from the run that wrote it.

    Args:
        trainer: Gets the weights of the checkpoint.
        history: Gets what these were trained with.
        curves: Gets the learning curves until then.

    Returns:
        The checkpoints, or None if this process writes none, and where the run is.
    """
    job, batch_size = trainer.job, trainer.data.batch_size
    if not job.checkpoint_dir or not trainer.strategy.is_chief:
        return None, Progress()
    checkpoints = Checkpoints(
        Path(job.checkpoint_dir),
        model=trainer.model,
        optimizer=trainer.optimizer,
        keep=job.keep,
        device=trainer.strategy.io_device,
        history=history,
        curves=curves,
    )
    progress = checkpoints.restore() or Progress()
    if progress.step:
        logger.info("resumed at step=%d", progress.step)
    if history.changes:
        logger.warning(
            "--checkpoint-dir: its %d steps were trained with %s",
            progress.step,
            "; ".join(history.changes),
        )
    if progress.examples != progress.step * batch_size:
        logger.warning(
            "--checkpoint-dir: %d steps had %d examples, those to come have %d each; the number "
            "of steps and the learning rate go by steps",
            progress.step,
            progress.examples,
            batch_size,
        )
    return checkpoints, progress


def initial_state(
    trainer: Trainer, progress: Progress, checkpoints: Checkpoints | None, *, time: TimeSplit
) -> RunState:
    """Agree with all processes on where the run is and whether it was asked to stop.

    Args:
        trainer: Knows the job and its data.
        progress: The position that this process knows; the chief's counts.
        checkpoints: Have the best weights of a run that has stopped early.
        time: Where the time of this process goes.
    """
    strategy, target = trainer.strategy, trainer.job.target_accuracy
    progress, stop = consensus.share_progress(strategy, progress, stopped=trainer.stop_requested())
    reached = False
    knows = trainer.run_task.goal.name == ACCURACY and progress.best_step == progress.step
    if target is not None and knows:
        # These weights were evaluated: a run that had reached its target had ended.
        reached = progress.best_value >= target
    state = RunState(
        steps=trainer.data.steps,
        batch_size=trainer.data.batch_size,
        log_every=trainer.job.log_steps,
        progress=progress,
        stop_requested=stop,
        target_reached=reached,
        time=time,
        score=trainer.run_task.task.score,
    )
    early = trainer.job.early_stop
    if early and progress.waited >= EarlyStop.of(early).patience and progress.step < state.steps:
        state.stopped_early = True
        BestWeights(trainer, checkpoints).restore(state)
    return state


def finished_before(
    trainer: Trainer, state: RunState, destination: Destination
) -> dict[str, Any] | None:
    """Return the report of an earlier run that has done all of this one, model included.

    Args:
        trainer: Has the weights of the checkpoint.
        state: Where the run is.
        destination: Knows where an earlier run has left its model.

    Returns:
        None if there are steps left to train, or the model has to be exported again. On processes
        other than the chief: the number of steps.
    """
    if not state.step or not state.is_complete or state.stop_requested:
        return None
    report = _exported_before(trainer, state, destination) if trainer.strategy.is_chief else None
    # Only the chief has looked for the model: tell the others by a sum.
    if trainer.strategy.sum([float(report is not None)])[0]:
        return report or {"stopped": False, "steps": state.step}
    return None


def _exported_before(
    trainer: Trainer, state: RunState, destination: Destination
) -> dict[str, Any] | None:
    left = f"nothing left to train: the checkpoint has {state.step} steps, "
    if state.target_reached and state.step < state.steps:
        accuracy, target = state.progress.best_value, trainer.job.target_accuracy
        reached = f"accuracy {accuracy:.4f} reaches --target-accuracy {target:g}"
        left += f"whose {trainer.data.watched} {reached}"
    elif state.stopped_early:
        left += f"after which it was stopped early; its best are {state.progress.best_step}"
    else:
        left += f"{state.steps} are asked for"
    report = destination.earlier_report(trainer.job)
    if report is None or (report["steps"], report["weights_crc32c"][:1]) != (
        state.step,
        [consensus.digest(trainer.model)],
    ):
        logger.info(left)
        return None
    logger.info("%s; their model is %s, and nothing new is exported", left, report["model_path"])
    return report


def rebuild_as_trained(trainer: Trainer, state: RunState, history: History) -> None:
    """Give a run with no steps left the settings that its weights were trained with.

    Its model is exported again, and another activation, for one, would make another model of the
    same weights.

    Args:
        trainer: Has the weights of the checkpoint.
        state: Where the run is.
        history: Of the chief; other processes do not know it.

    Raises:
        UserError: The settings are those of another version, or the weights do not fit.
    """
    if not state.step or not state.is_complete:
        return
    now, text = history.now, ""
    if last := history.last:
        hparams = {**now.hparams, **last.hparams}
        if (last.module, hparams) != (now.module, now.hparams):
            text = json.dumps([last.module, hparams])
    if not (text := consensus.share_text(trainer.strategy, text)):
        return
    module, hparams = json.loads(text)
    given, hp = dict(trainer.job.hparams.hp), dict[str, str](hparams["hp"])
    # A checkpoint leaves secrets out.
    hp |= {name: given.get(name, value) for name, value in hp.items() if MASK in value}
    try:
        settings = trained_with.hparams_of(hparams, hp)
    except (TypeError, UserError) as error:
        raise UserError(
            subject=f"--checkpoint-dir {trainer.job.checkpoint_dir}",
            problem=f"has settings that this version does not know: {error}",
        ) from None
    logger.info("model and report have the settings that the weights were trained with")
    trainer.rebuild(module=module, hparams=settings)
