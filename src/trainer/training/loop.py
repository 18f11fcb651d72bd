"""Train, evaluate and export one model: `train_and_evaluate` reads from top to bottom.

The loop is our own and works on any model, optimizer and data set, so that every way to distribute
can use it: a compiled function takes many steps a call, and between calls Python evaluates, writes
checkpoints and decides whether to go on.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.config import Job
from trainer.distribution import ALONE, Strategy
from trainer.launch import Value, flags, plain
from trainer.models import loader, recipes
from trainer.runtime import POLICIES, Reporter, default_precision
from trainer.training import consensus, inputs, preflight, trained_with
from trainer.training.callbacks import NO_HOOKS, Hooks
from trainer.training.checkpoint import Checkpoints, Progress
from trainer.training.export import export
from trainer.training.nan_check import check_finite
from trainer.training.optimizers import make_optimizer
from trainer.training.report import describe, metrics_of, tell_start, write_metrics
from trainer.training.steps import Tested, make_evaluate, make_train_steps, reading
from trainer.training.steps_per_call import Pace
from trainer.training.summaries import Summaries
from trainer.training.trained_with import History

# Test examples on which the exported model is compared with the trained one.
SAMPLE = 64


def train_and_evaluate(
    job: Job, reporter: Reporter, hooks: Hooks = NO_HOOKS, strategy: Strategy = ALONE
) -> dict[str, Any]:
    """Run one job from its data to a SavedModel and a report.

    Args:
        job: What to do.
        reporter: Where progress goes.
        hooks: What the platform wants to be told, and whether it says to stop.
        strategy: How the work is shared, by default not at all. Every process that shares it calls
            this with the same job; those that are not the chief write nothing.

    Returns:
        What was written to `metrics.json`; with `stopped` true if the run was told to stop, and
        then nothing is written unless a step had been done.

    Raises:
        UserError: The data, a checkpoint or a setting is not as it should be.
        PeerError: Another process is gone.
    """
    chief = strategy.is_chief
    job = recipes.complete(job, precision=default_precision(tf))
    hparams = job.hparams
    module = loader.load(job.module)
    # Names are numbered through the process: start anew, so that checkpoints find theirs again.
    keras.utils.clear_session()
    keras.utils.set_random_seed(hparams.seed)
    keras.config.set_dtype_policy(POLICIES[hparams.precision])

    share = consensus.share(job, replicas=strategy.replicas)
    test = inputs.test_data(job, module, strategy)
    train = inputs.train_data(job, module, strategy, batch_size=share.batch // strategy.processes)
    steps, epoch = inputs.length(job, train, batch_size=share.batch)
    data = {"train": describe(train), "test": describe(test)}
    if strategy.processes > 1:
        consensus.check_alike(strategy, _given(job, data))
    with strategy.scope():
        model = module.keras_model(hparams)
        optimizer = make_optimizer(
            hparams, steps=steps, scale=share.scale, scale_steps=share.scale_steps(steps, epoch)
        )
        optimizer.build(model.trainable_variables)
    uses = strategy.device()
    if chief:
        tell_start(
            job, reporter, model=model, steps=steps, data=data, strategy=strategy, device=uses
        )

    progress, checkpoints = Progress(), None
    history = History(trained_with.of(job, data["train"]))
    if job.checkpoint_dir and chief:
        checkpoints = Checkpoints(
            Path(job.checkpoint_dir),
            model=model,
            optimizer=optimizer,
            keep=job.keep,
            device=strategy.io_device,
            warn=reporter.warn,
            history=history,
        )
        progress = checkpoints.restore() or progress
        if progress.step:
            reporter.info(f"resumed at step={progress.step}")
        if history.changes:
            reporter.warn(
                f"--checkpoint-dir: its {progress.step} steps were trained with "
                f"{'; '.join(history.changes)}"
            )
        if progress.examples != progress.step * share.batch:
            reporter.warn(
                f"--checkpoint-dir: {progress.step} steps had {progress.examples} examples, those "
                f"to come have {share.batch} each; the number of steps and the learning rate go "
                "by steps"
            )
    progress, told = consensus.agree(strategy, progress, stopped=hooks.stopped())
    reached = _is_reached(job, progress)
    if progress.step and (progress.step >= steps or reached) and not told:
        before = _exported_before(job, progress, steps, model, reporter, hooks) if chief else None
        if strategy.sum([float(before is not None)])[0]:
            return before or {"stopped": False, "steps": progress.step}
    consensus.align(strategy, model, optimizer)
    strategy.start(progress.step)

    source = inputs.source(train, strategy, first=progress.examples // share.batch)
    train_steps = make_train_steps(
        model,
        optimizer,
        strategy=strategy,
        label_smoothing=hparams.label_smoothing,
        feed=source.feed,
        batch_size=share.batch,
    )
    evaluate = make_evaluate(model, strategy=strategy, stopped=hooks.stopped)
    moving = [variable.value for variable in consensus.moving(model)]
    # An evaluator does it from the checkpoints; what the report needs is found at the end. Only
    # the loop itself can end at an accuracy, however.
    eval_every = job.eval_every or epoch
    checkpoint_every = job.checkpoint_every or eval_every
    if job.cluster.evaluator and job.target_accuracy is None:
        eval_every = steps
    paces = (job.log_every, eval_every, checkpoint_every)
    summaries = Summaries(job.log_dir if chief else None)
    pace = Pace(min(job.steps_per_call, source.most))
    # Since the last progress line: losses, and seconds of their steps.
    recent: list[float] = []
    recent_seconds = 0.0
    loss: float | None = None
    tested: Tested | None = None
    while progress.step < steps and not reached and not told:
        stop = min(steps, *(_next(progress.step, every) for every in paces))
        count = pace.steps(stop - progress.step)
        with pace:
            mine = reading(train, train_steps, source.take(count), count)
        # One exchange a call tells all processes all that they have to agree on.
        told_here = float(hooks.stopped())
        whole = strategy.sum([*mine, pace.seconds, pace.cpu_seconds, told_here])
        losses, (seconds, cpu_seconds, stops) = whole[:count], whole[count:]
        pace.seconds, told = seconds / strategy.processes, stops > 0
        check_finite(losses, mine, progress=progress, batch_size=share.batch, data=train)
        # What an evaluation found is of the model as it was then.
        tested = None
        recent += losses.tolist()
        recent_seconds += pace.seconds
        loss = float(np.mean(recent))
        progress = dataclasses.replace(
            progress,
            step=progress.step + count,
            examples=progress.examples + count * share.batch,
            train_cpu_seconds=progress.train_cpu_seconds + cpu_seconds,
            train_seconds=progress.train_seconds + pace.seconds,
        )
        step, last = progress.step, progress.step == steps
        if step % job.log_every == 0:
            rate = len(recent) * share.batch / recent_seconds
            recent, recent_seconds = [], 0.0
            if chief:
                reporter.info(
                    f"step={step} of={steps} loss={loss:.4f} images_per_second={rate:.0f}"
                )
                summaries.write(step, loss=loss, images_per_second=rate)
        if step % eval_every == 0 or last:
            strategy.average(moving)
            tested = reading(test, evaluate, test)
            told = told or tested is None
            if chief:
                _tell_tested(tested, progress, reporter, summaries, hooks)
            progress = _note_best(tested, progress)
            if job.target_accuracy is not None and tested is not None:
                reached = tested.accuracy >= job.target_accuracy
        best = progress.best_step == step
        if checkpoints and (step % checkpoint_every == 0 or best or reached or last):
            checkpoints.save(progress)
            hooks.saved()

    summaries.close()
    stopped = progress.step < steps and not reached
    if reached and chief:
        reporter.info(f"step={progress.step} reached target_accuracy={job.target_accuracy:g}")
    if stopped:
        if chief:
            reporter.info(f"stopped at step={progress.step} of={steps}")
        if not progress.step:
            return {"stopped": True, "steps": 0}
        if checkpoints:
            checkpoints.save(progress)
            hooks.saved()
    elif tested is None:
        # Told to stop in the last evaluation, or resumed from a run that had ended.
        strategy.average(moving)
        tested = reading(test, evaluate, test)
    digests = consensus.check_equal(strategy, model)
    metrics = metrics_of(
        model,
        job=job,
        progress=progress,
        data=data | {"train": history.described(data["train"], step=progress.step)},
        history=history.at(progress.step),
        tested=tested,
        loss=loss,
        stopped=stopped,
        strategy=strategy,
        device=uses,
    )
    metrics["weights_crc32c"] = digests
    if not chief:
        return metrics

    features = tf.nest.map_structure(lambda rows: rows[:SAMPLE], next(iter(test))[0])
    path = export(
        model,
        module=module,
        hparams=hparams,
        model_dir=Path(job.model_dir),
        sample=features,
        layout=job.layout,
        device=strategy.io_device,
    )
    metrics["model_path"] = hooks.exported(path)
    write_metrics(preflight.output_dir(job), metrics)
    return metrics


def _given(job: Job, data: dict[str, Any]) -> dict[str, Value]:
    """Return what all processes must have alike: settings, and the number of examples found."""
    counts = {f"--{split}": f"{found['examples']} examples" for split, found in data.items()}
    counts["--precision"] = job.hparams.precision
    return {name: plain(text) for name, text in counts.items()} | flags(job)


def _is_reached(job: Job, progress: Progress) -> bool:
    """Return whether a run that goes on had already ended at its target."""
    if job.target_accuracy is None or progress.best_step != progress.step:
        return False
    return progress.best_accuracy >= job.target_accuracy


def _exported_before(
    job: Job,
    progress: Progress,
    steps: int,
    model: keras.Model,
    reporter: Reporter,
    hooks: Hooks,
) -> dict[str, Any] | None:
    """Say that nothing is left to train; return the report of these weights, if they have one."""
    left = f"nothing left to train: the checkpoint has {progress.step} steps, {steps} are asked for"
    found = hooks.exported_before(job)
    if found is None or (found["steps"], found["weights_crc32c"][:1]) != (
        progress.step,
        [consensus.digest(model)],
    ):
        reporter.info(left)
        return None
    reporter.info(f"{left}; their model is {found['model_path']}, and nothing new is exported")
    return found


def _tell_tested(
    tested: Tested | None,
    progress: Progress,
    reporter: Reporter,
    summaries: Summaries,
    hooks: Hooks,
) -> None:
    """Pass an evaluation on to all who want it."""
    if tested is None:
        return
    step, accuracy, loss = progress.step, tested.accuracy, tested.loss
    reporter.info(f"step={step} test_accuracy={accuracy:.4f} test_loss={loss:.4f}")
    summaries.write(step, test_accuracy=accuracy, test_loss=loss)
    hooks.evaluated(step, accuracy, loss)


def _note_best(tested: Tested | None, progress: Progress) -> Progress:
    if tested is None or tested.accuracy <= progress.best_accuracy:
        return progress
    return dataclasses.replace(progress, best_accuracy=tested.accuracy, best_step=progress.step)


def _next(step: int, every: int) -> int:
    return (step // every + 1) * every
