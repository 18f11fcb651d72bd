"""Train, evaluate and export one model: `train_and_evaluate` reads from top to bottom.

The loop is our own and works on any model, optimizer and data set, so that every way to distribute
can use it: a compiled function takes many steps a call, and between calls Python evaluates, writes
checkpoints and decides whether to go on.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import trainer
from trainer import modules, preflight, recipes
from trainer.checkpoint import Checkpoints, Progress
from trainer.data.stream import Shard, Stream
from trainer.errors import UserError
from trainer.export import export
from trainer.job import Job
from trainer.optim import make_optimizer
from trainer.pace import Pace
from trainer.report import Reporter, write_metrics
from trainer.runtime import default_precision
from trainer.steps import make_evaluate, make_train_steps, reading

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}

# Test examples on which the exported model is compared with the trained one.
SAMPLE = 64


def train_and_evaluate(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Run one job from its data to a SavedModel and a report.

    Args:
        job: What to do.
        reporter: Where progress goes.

    Returns:
        What was written to `metrics.json`.

    Raises:
        UserError: The data, a checkpoint or a setting is not as it should be.
    """
    job = recipes.complete(job, precision=default_precision(tf))
    hparams = job.hparams
    module = modules.load(job.module)
    # Names are numbered through the process: start anew, so that checkpoints find theirs again.
    keras.utils.clear_session()
    keras.utils.set_random_seed(hparams.seed)
    keras.config.set_dtype_policy(POLICIES[hparams.precision])

    test = _input(job, module.input_fn, mode="test")
    train = _input(job, module.input_fn, mode="train")
    steps, epoch = _length(job, train)
    model = module.keras_model(hparams)
    optimizer = make_optimizer(hparams, steps=steps)
    optimizer.build(model.trainable_variables)
    data = {"train": _describe(train), "test": _describe(test)}
    _tell_start(job, reporter, model=model, steps=steps, data=data)

    progress, checkpoints = Progress(), None
    if job.checkpoint_dir:
        checkpoints = Checkpoints(
            Path(job.checkpoint_dir), model=model, optimizer=optimizer, keep=job.keep
        )
        progress = checkpoints.restore() or progress
        if progress.step:
            reporter.info(f"resumed at step={progress.step}")
            first = progress.examples // hparams.batch_size
            train = _input(job, module.input_fn, mode="train", step=first)

    # What the data set leaves to be done in the step, if it is one of ours.
    source, finish = getattr(train, "in_step", (train, lambda *element: element))
    train_steps = make_train_steps(
        model, optimizer, label_smoothing=hparams.label_smoothing, finish=finish
    )
    evaluate = make_evaluate(model)
    eval_every = job.eval_every or epoch
    checkpoint_every = job.checkpoint_every or eval_every
    iterator, pace = iter(source), Pace(job.steps_per_call)
    accuracy: float | None = None
    loss = test_loss = math.nan
    while progress.step < steps:
        stops = [steps, *(_next(progress.step, every) for every in (eval_every, checkpoint_every))]
        count = pace.steps(min(stops) - progress.step)
        with pace:
            losses = reading(train, train_steps, iterator, count).numpy()
        check_finite(losses, progress=progress, batch_size=hparams.batch_size, data=train)
        progress = dataclasses.replace(
            progress,
            step=progress.step + count,
            examples=progress.examples + count * hparams.batch_size,
            train_cpu_seconds=progress.train_cpu_seconds + pace.cpu_seconds,
            train_seconds=progress.train_seconds + pace.seconds,
        )
        loss = float(np.mean(losses))
        if progress.step // job.log_every > (progress.step - count) // job.log_every:
            rate = count * hparams.batch_size / pace.seconds
            reporter.info(
                f"step={progress.step} of={steps} loss={loss:.4f} images_per_second={rate:.0f}"
            )
        if progress.step % eval_every == 0 or progress.step == steps:
            accuracy, test_loss = reading(test, evaluate, test)
            reporter.info(
                f"step={progress.step} test_accuracy={accuracy:.4f} test_loss={test_loss:.4f}"
            )
            if accuracy > progress.best_accuracy:
                progress = dataclasses.replace(
                    progress, best_accuracy=accuracy, best_step=progress.step
                )
        reached = job.target_accuracy is not None and (accuracy or 0) >= job.target_accuracy
        due = progress.step % checkpoint_every == 0 or progress.best_step == progress.step
        if checkpoints and (due or reached or progress.step == steps):
            checkpoints.save(progress)
        if reached:
            reporter.info(f"step={progress.step} reached target_accuracy={job.target_accuracy:g}")
            break

    if accuracy is None:
        # Resumed from a run that had ended.
        accuracy, test_loss = reading(test, evaluate, test)
    features = next(iter(test))[0][:SAMPLE]
    path = export(
        model, module=module, hparams=hparams, model_dir=Path(job.model_dir), sample=features
    )
    cpu_seconds, images = progress.train_cpu_seconds, progress.examples
    metrics = {
        "model": model.name,
        "parameters": model.count_params(),
        "steps": progress.step,
        "epochs": images / data["train"]["examples"] if data["train"]["examples"] else None,
        "test_accuracy": accuracy,
        "test_loss": test_loss,
        "best_test_accuracy": progress.best_accuracy,
        "best_step": progress.best_step,
        "train_loss": loss,
        "train_seconds": progress.train_seconds,
        "train_cpu_seconds": cpu_seconds,
        "images_per_second": images / progress.train_seconds if images else None,
        "images_per_cpu_second": images / cpu_seconds if images else None,
        "model_path": str(path.absolute()),
        "data": data,
        "hparams": dataclasses.asdict(hparams),
        "versions": {
            "trainer": trainer.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }
    written = write_metrics(preflight.output_dir(job), metrics)
    reporter.info(f"model={path} test_accuracy={accuracy:.4f} metrics={written}")
    return metrics


def _input(job: Job, input_fn: Callable[..., Any], *, mode: str, step: int = 0) -> Any:
    """Call a module's input function for one split."""
    training = mode == "train"
    data = modules.call_with_known(
        input_fn,
        job.train if training else preflight.test_paths(job),
        mode,
        job.hparams.batch_size if training else job.eval_batch_size,
        Shard(by=job.shard_by),
        seed=job.hparams.seed,
        step=step,
        cache_mb=job.cache_mb,
        skip_corrupt=job.skip_corrupt,
    )
    if step and getattr(data, "stream", None) is None:
        data = data.skip(step)
    return data


def _length(job: Job, train: Any) -> tuple[int, int]:
    """How many steps the run has, and how many an epoch has."""
    stream: Stream | None = getattr(train, "stream", None)
    if stream is None:
        if job.steps is None:
            raise UserError("--steps: not given, and the module's data does not tell its size")
        return job.steps, job.steps
    epoch = stream.size / job.hparams.batch_size
    steps = job.steps or math.ceil(epoch * (job.epochs or 1))
    return steps, math.ceil(epoch)


def _next(step: int, every: int) -> int:
    return (step // every + 1) * every


def check_finite(losses: np.ndarray, *, progress: Progress, batch_size: int, data: Any) -> None:
    """Stop a run whose loss is NaN or infinite, before that is saved."""
    wrong = np.flatnonzero(~np.isfinite(losses))
    if wrong.size:
        bad = int(wrong[0])
        stream: Stream | None = getattr(data, "stream", None)
        batch = progress.examples // batch_size + bad
        origin = stream.origin(batch) if stream else "the module's own input_fn"
        raise UserError(
            f"step {progress.step + bad + 1}: the loss is {losses[bad]}; its batch came from "
            f"{origin}; try a lower --learning-rate or --precision float32"
        )


def _tell_start(
    job: Job, reporter: Reporter, *, model: keras.Model, steps: int, data: dict[str, Any]
) -> None:
    hparams = job.hparams
    for split, of in (("training", data["train"]), ("test", data["test"])):
        if of["kind"] == "synthetic":
            of = of | {"kind": "SYNTHETIC digits (no --train given)"}
        reporter.info(f"{split} data: {of['kind']}, {of['examples']} examples")
        for line in of["damaged"]:
            reporter.warn(f"left out: {line}")
    if data["train"]["files"] and set(data["train"]["files"]) & set(data["test"]["files"]):
        reporter.warn("the test data is part of the training data: its accuracy means little")
    reporter.info(
        f"model={model.name} parameters={model.count_params()} steps={steps} "
        f"batch_size={hparams.batch_size} optimizer={hparams.optimizer} "
        f"learning_rate={hparams.learning_rate:g} schedule={hparams.schedule} "
        f"precision={hparams.precision} seed={hparams.seed}"
    )


def _describe(data: Any) -> dict[str, Any]:
    """Kind, count and files of a data set, for the log and `metrics.json`."""
    stream: Stream | None = getattr(data, "stream", None)
    if stream is None:
        return {"kind": "module", "examples": None, "files": [], "damaged": []}
    return {
        "kind": stream.kind,
        "examples": stream.size,
        "files": [table.name for table in stream.tables if table.kind != "synthetic"],
        "damaged": stream.damage,
    }
