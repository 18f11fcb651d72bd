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

from trainer import modules, preflight, recipes
from trainer.checkpoint import Checkpoints, Progress
from trainer.data.pipeline import dataset
from trainer.data.stream import Shard, Stream
from trainer.errors import UserError
from trainer.export import export
from trainer.hooks import NO_HOOKS, Hooks
from trainer.job import Job
from trainer.optim import make_optimizer
from trainer.pace import Pace
from trainer.report import Reporter, describe, metrics_of, tell_start, write_metrics
from trainer.runtime import default_precision
from trainer.steps import Tested, make_evaluate, make_train_steps, reading
from trainer.summaries import Summaries

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}

# Test examples on which the exported model is compared with the trained one.
SAMPLE = 64


def train_and_evaluate(job: Job, reporter: Reporter, hooks: Hooks = NO_HOOKS) -> dict[str, Any]:
    """Run one job from its data to a SavedModel and a report.

    Args:
        job: What to do.
        reporter: Where progress goes.
        hooks: What the platform wants to be told, and whether it says to stop.

    Returns:
        What was written to `metrics.json`; with `stopped` true if the run was told to stop, and
        then nothing is written unless a step had been done.

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
    data = {"train": describe(train), "test": describe(test)}
    tell_start(job, reporter, model=model, steps=steps, data=data)

    progress, checkpoints = Progress(), None
    if job.checkpoint_dir:
        checkpoints = Checkpoints(
            Path(job.checkpoint_dir), model=model, optimizer=optimizer, keep=job.keep
        )
        progress = checkpoints.restore() or progress
        if progress.step:
            reporter.info(f"resumed at step={progress.step}")
            first = progress.examples // hparams.batch_size
            stream = getattr(train, "stream", None)
            if stream:
                # Our own data goes on from any step without being read again.
                train.feed.close()
                train = dataset(stream, step=first)
            else:
                train = train.skip(first)

    feed = getattr(train, "feed", None)
    train_steps = make_train_steps(
        model, optimizer, label_smoothing=hparams.label_smoothing, feed=feed
    )
    evaluate = make_evaluate(model, stopped=hooks.stopped)
    eval_every = job.eval_every or epoch
    checkpoint_every = job.checkpoint_every or eval_every
    paces = (job.log_every, eval_every, checkpoint_every)
    summaries = Summaries(job.log_dir)
    iterator = None if feed else iter(train)
    pace = Pace(min(job.steps_per_call, feed.most) if feed else job.steps_per_call)
    loss: float | None = None
    tested: Tested | None = None
    reached = False
    while progress.step < steps and not reached and not hooks.stopped():
        stop = min(steps, *(_next(progress.step, every) for every in paces))
        count = pace.steps(stop - progress.step)
        with pace:
            source = feed.take(count) if feed else iterator
            losses = reading(train, train_steps, source, count).numpy()
        check_finite(losses, progress=progress, batch_size=hparams.batch_size, data=train)
        # What an evaluation found is of the model as it was then.
        tested = None
        loss = float(np.mean(losses))
        progress = dataclasses.replace(
            progress,
            step=progress.step + count,
            examples=progress.examples + count * hparams.batch_size,
            train_cpu_seconds=progress.train_cpu_seconds + pace.cpu_seconds,
            train_seconds=progress.train_seconds + pace.seconds,
        )
        step, last = progress.step, progress.step == steps
        if step % job.log_every == 0:
            rate = count * hparams.batch_size / pace.seconds
            reporter.info(f"step={step} of={steps} loss={loss:.4f} images_per_second={rate:.0f}")
            summaries.write(step, loss=loss, images_per_second=rate)
        if step % eval_every == 0 or last:
            tested = reading(test, evaluate, test)
            progress = _tell_tested(tested, progress, reporter, summaries, hooks)
            if job.target_accuracy is not None and tested is not None:
                reached = tested.accuracy >= job.target_accuracy
        best = progress.best_step == step
        if checkpoints and (step % checkpoint_every == 0 or best or reached or last):
            checkpoints.save(progress)
            hooks.saved()

    summaries.close()
    if feed:
        feed.close()
    stopped = progress.step < steps and not reached
    if reached:
        reporter.info(f"step={progress.step} reached target_accuracy={job.target_accuracy:g}")
    if stopped:
        reporter.info(f"stopped at step={progress.step} of={steps}")
        if not progress.step:
            return {"stopped": True, "steps": 0}
        if checkpoints:
            checkpoints.save(progress)
            hooks.saved()
    elif tested is None:
        # Told to stop in the last evaluation, or resumed from a run that had ended.
        tested = reading(test, evaluate, test)

    features = next(iter(test))[0][:SAMPLE]
    path = export(
        model,
        module=module,
        hparams=hparams,
        model_dir=Path(job.model_dir),
        sample=features,
        layout=job.layout,
    )
    where = hooks.exported(path)
    metrics = metrics_of(
        model, job=job, progress=progress, data=data, tested=tested, loss=loss, stopped=stopped
    )
    metrics["model_path"] = where
    write_metrics(preflight.output_dir(job), metrics)
    return metrics


def _tell_tested(
    tested: Tested | None,
    progress: Progress,
    reporter: Reporter,
    summaries: Summaries,
    hooks: Hooks,
) -> Progress:
    """Pass an evaluation on to all who want it, and note whether it is the best."""
    if tested is None:
        return progress
    step, accuracy, loss = progress.step, tested.accuracy, tested.loss
    reporter.info(f"step={step} test_accuracy={accuracy:.4f} test_loss={loss:.4f}")
    summaries.write(step, test_accuracy=accuracy, test_loss=loss)
    hooks.evaluated(step, accuracy, loss)
    if accuracy <= progress.best_accuracy:
        return progress
    return dataclasses.replace(progress, best_accuracy=accuracy, best_step=step)


def _input(job: Job, input_fn: Callable[..., Any], *, mode: str) -> Any:
    """Call a module's input function for one split."""
    training = mode == "train"
    return modules.call_with_known(
        input_fn,
        job.train if training else preflight.test_paths(job),
        mode,
        job.hparams.batch_size if training else job.eval_batch_size,
        Shard(by=job.shard_by),
        seed=job.hparams.seed,
        cache_mb=job.cache_mb,
        skip_corrupt=job.skip_corrupt,
    )


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
