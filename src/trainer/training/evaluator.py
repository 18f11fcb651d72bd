"""The evaluator: beside a training, the test accuracy of each checkpoint that it writes.

It is no member of the cluster of workers and servers, and shares but a folder with the chief.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras

from trainer.config import Job, UserError
from trainer.distribution import ALONE
from trainer.models import loader, recipes
from trainer.runtime import POLICIES, Reporter, StopRequest
from trainer.training import inputs
from trainer.training.callbacks import Hooks
from trainer.training.checkpoint import Checkpoints
from trainer.training.optimizers import make_optimizer
from trainer.training.steps import make_evaluate, reading
from trainer.training.summaries import Summaries

# Between looks for a new checkpoint.
LOOK = 1.0


def evaluate_checkpoints(
    job: Job,
    reporter: Reporter,
    *,
    stopped: StopRequest,
    hooks: Hooks,
    refresh: Callable[[], None],
) -> int:
    """Evaluate each new checkpoint until told to stop, and then the last one.

    Args:
        job: Its `checkpoint_dir` is what the chief writes to.
        reporter: Where the accuracy goes.
        stopped: True when the chief has written its last checkpoint.
        hooks: What the platform wants to be told.
        refresh: Brings what is new in a remote folder here.

    Returns:
        How many were evaluated.

    Raises:
        UserError: There is no folder of checkpoints, or they are of another model.
    """
    if not job.checkpoint_dir:
        raise UserError(
            subject="--checkpoint-dir",
            problem="not given, and an evaluator evaluates what the chief writes there",
            remedy="name a folder that both see",
        )
    folder = Path(job.checkpoint_dir)
    # What a GPU here would make of it may need other variables than the chief's processor.
    job = recipes.complete(job, precision="float32")
    module = loader.load(job.module)
    keras.config.set_dtype_policy(POLICIES[job.hparams.precision])
    data = inputs.test_data(job, module, ALONE)
    model = module.keras_model(job.hparams)
    # Only so that it is told from another's: an optimizer has variables, too.
    optimizer = make_optimizer(job.hparams, steps=1)
    optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(
        folder,
        model=model,
        optimizer=optimizer,
        keep=job.keep,
        alone=False,
        warn=reporter.warn,
    )
    evaluate = make_evaluate(model)
    summaries = Summaries(f"{job.log_dir}/evaluator" if job.log_dir else None)
    seen, count = -1, 0
    while True:
        last = stopped()
        refresh()
        found = checkpoints.restore(after=seen)
        if found:
            seen, count = found.step, count + 1
            tested = reading(data, evaluate, data)
            assert tested is not None
            reporter.info(
                f"step={found.step} test_accuracy={tested.accuracy:.4f} test_loss={tested.loss:.4f}"
            )
            summaries.write(found.step, test_accuracy=tested.accuracy, test_loss=tested.loss)
            hooks.evaluated(found.step, tested.accuracy, tested.loss)
            hooks.saved()
        elif last:
            summaries.close()
            return count
        else:
            stopped.wait(LOOK)
