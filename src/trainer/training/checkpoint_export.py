"""The export of a checkpoint's model, without a run: `trainer export`."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.config import Hparams, Job, UserError, flag_of as flag_of
from trainer.data import ImageSpec
from trainer.distribution import SINGLE_PROCESS
from trainer.models import ModelModule, inputs_of, loader, recipes
from trainer.runtime import (
    MASK,
    POLICIES,
    default_precision,
    error_message,
    log,
    never_stopped,
)
from trainer.storage import locked_folders, without_wildcards
from trainer.training import inputs, preflight, trained_with
from trainer.training.checkpoint import VARIABLES
from trainer.training.checkpoint_state import CheckpointState
from trainer.training.chosen_checkpoint import ChosenCheckpoint, chosen_checkpoint
from trainer.training.curves import CurveRecorder
from trainer.training.export import ROWS, SAMPLE, export, sample_of
from trainer.training.export_errors import naming_module
from trainer.training.export_options import ExportOptions
from trainer.training.staging import staged_locally

logger = logging.getLogger(__name__)


def export_checkpoint(
    options: ExportOptions, *, stopped: Callable[[], bool] = never_stopped
) -> str:
    """Make a SavedModel of a checkpoint, and compare the two as a run does at its end.

    Returns:
        The path or url of the model.

    Raises:
        UserError: The checkpoint is missing, damaged or of another model; nothing is written.
        ExportError: The exported model does not answer as the checkpoint's does.
    """
    with chosen_checkpoint(options.checkpoint or "") as chosen:
        history = trained_with.read(chosen.state.trained)
        job = recipes.complete(_job_of(options, chosen), precision=default_precision(tf))
        with (
            locked_folders(job, stopped=stopped),
            staged_locally(job, stopped=stopped) as stage,
        ):
            preflight.check_outputs(stage.job)
            module = loader.load(job.module)
            model = _restored(module, job.hparams, chosen)
            sample, spec = _sample(stage.job, module, model, options)
            # The functions of a user's module have run.
            log.enable()
            with naming_module(module):
                path = export(
                    model,
                    module=module.serving(spec),
                    hparams=job.hparams,
                    model_dir=Path(stage.job.model_dir),
                    sample=sample,
                    class_names=history[-1].class_names if history else (),
                    layout=job.layout,
                )
            where = stage.destination.model_written(path)
    step = chosen.state.progress.step
    logger.info("model=%s step=%d %s", where, step, _measured(chosen.state))
    return where


def _measured(state: CheckpointState) -> str:
    """Return what the curves in a checkpoint say of its step: the accuracy, else the loss."""
    step, curves = state.progress.step, CurveRecorder()
    if not state.curves and state.progress.best_step == step:
        # An earlier version kept no curves, and knew accuracies only.
        return f"test_accuracy={state.progress.best_value:.4f}"
    curves.resume(state.curves, step=step)
    for split, columns in curves.as_json().items():
        if split != "train" and columns["step"][-1:] == [step]:
            name = "loss" if columns["accuracy"][-1] is None else "accuracy"
            return f"{split}_{name}={columns[name][-1]:.4f}"
    return "test_accuracy=unknown"


def _job_of(options: ExportOptions, chosen: ChosenCheckpoint) -> Job:
    """Return a job with the settings that the checkpoint was trained with.

    Raises:
        UserError: A flag contradicts them.
    """
    # A folder that may be written needs not have one beside it that may be, too.
    model_dir = options.model_dir or ""
    base = Job(
        model_dir=model_dir,
        output_dir=model_dir,
        layout=options.layout,
        train=options.train,
        test=options.test,
    )
    names = ("model", "precision")
    flags = {name: value for name in names if (value := getattr(options, name)) is not None}
    history = trained_with.read(chosen.state.trained)
    if not history:
        hparams = Hparams(**flags, hp=options.hp)
        logger.info("%s is of an earlier version: its settings are those of flags and recipe",
                    chosen.path.name)  # fmt: skip
        return dataclasses.replace(base, module=options.module or Job.module, hparams=hparams)
    last = history[-1]
    if options.module is not None:
        _check_alike(chosen, "module", last.module, options.module)
    for name, value in flags.items():
        _check_alike(chosen, name, last.hparams.get(name, value), value)
    hp = _hp(chosen, dict(last.hparams.get("hp", ())), dict(options.hp))
    try:
        # The job checks them.
        hparams = trained_with.hparams_of(last.hparams, hp)
        shape = hparams.input_shape
        # Data to compare on is resized as the training's was.
        size = f"{shape[0]},{shape[1]}" if shape else None
        return dataclasses.replace(base, module=last.module, hparams=hparams, image_size=size)
    except (TypeError, UserError) as error:
        raise chosen.mistake(f"has settings that this version does not know: {error}") from None


def _hp(
    chosen: ChosenCheckpoint, there: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, str]:
    """Return a module's own hyperparameters; a secret is not in the checkpoint, but a flag's."""
    for name, value in given.items():
        if MASK not in there.get(name, ""):
            _check_alike(chosen, f"hp {name}", there.get(name, "nothing"), value)
    for name, value in there.items():
        if MASK in value and name not in given:
            raise UserError(
                subject=f"--hp {name}",
                problem=f"not given, and {chosen.path.name} leaves it out as a secret",
                remedy=f"give --hp {name}=…",
            )
    return {**there, **given}


def _check_alike(chosen: ChosenCheckpoint, name: str, there: Any, given: Any) -> None:
    if there != given:
        flag = f"--{name}"
        raise UserError(
            subject=f"{flag} {given}",
            problem=f"{chosen.path.name} was trained with {flag} {there}",
            remedy="leave the flag out",
        )


def _restored(module: ModelModule, hparams: Hparams, chosen: ChosenCheckpoint) -> keras.Model:
    """Build the model, and give it the checkpoint's weights; the optimizer's stay where they are.

    Raises:
        UserError: They do not fit, or TensorFlow cannot read them.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(hparams.seed)
    keras.config.set_dtype_policy(POLICIES[hparams.precision])
    model: keras.Model = module.keras_model(hparams)
    there = chosen.state.variables[: len(model.variables)]
    here = [[v.path, list(v.shape)] for v in model.variables]
    if there != here:
        other = next((a for a, b in zip(there, here, strict=False) if a != b), ["nothing more"])
        own = next((b for a, b in zip(there, here, strict=False) if a != b), here[-1])
        raise chosen.mistake(
            f"is of another model: it has {' '.join(map(str, other))} where {model.name} has "
            f"{own[0]} {own[1]}"
        )
    objects = tf.train.Checkpoint(variables=[v.value for v in model.variables])
    try:
        status = objects.read(str(without_wildcards(chosen.path) / VARIABLES))
        status.assert_existing_objects_matched().expect_partial()
    except Exception as error:
        # TensorFlow has many errors for a file without checksum that is not what it expects.
        raise chosen.mistake(f"cannot be read by TensorFlow: {error_message(error)}") from None
    return model


def _sample(
    job: Job, module: ModelModule, model: keras.Model, options: ExportOptions
) -> tuple[Any, ImageSpec | None]:
    """Return inputs to compare the models on, and log which: of the data given, else random.

    With it comes the form of the images, if the data tells.
    """
    if job.test or job.train:
        flag, paths = ("--test", options.test) if options.test else ("--train", options.train)
        logger.info("compared on examples of %s %s", flag, " ".join(paths))
        data = inputs.evaluation_data(
            job, module, SINGLE_PROCESS, split="test"
        ) or inputs.train_data(job, module, SINGLE_PROCESS, batch_size=SAMPLE)
        return sample_of(data.dataset), data.spec
    random = np.random.default_rng(job.hparams.seed)
    try:
        sample = tf.nest.map_structure(lambda each: _random(random, each), inputs_of(model))
    except (AttributeError, TypeError):
        sample = None
    if sample is None:
        raise UserError(
            subject="--test",
            problem=f"not given, and no inputs can be made up for {model.name}",
            remedy="name data that its module reads",
        )
    drawn = [str(list(each.shape)) for each in tf.nest.flatten(sample)]
    logger.info("compared on random inputs of shape %s, as no --test is given", ", ".join(drawn))
    return sample, None


def _random(random: np.random.Generator, spec: Any) -> tf.Tensor:
    """Return numbers from 0 to 1, zeros and ones for integers, of an input's shape."""
    shape = (SAMPLE, *(ROWS if size is None else size for size in spec.shape[1:]))
    kind = tf.as_dtype(spec.dtype)
    if kind.is_floating:
        return tf.constant(random.random(shape), kind)
    if kind.is_integer or kind.is_bool:
        return tf.cast(random.integers(0, 2, shape), kind)
    raise TypeError(kind.name)
