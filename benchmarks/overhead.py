"""The cost of the training loop on top of the bare compiled step.

The bare step is the same compiled function, called again and again with the same arguments: either
one fixed batch, or the numbers of the same 100 batches, which it gathers from the data in memory.
The loop draws new ones each time, times the call, and looks at every loss.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path

from benchmarks.common import Table, alternate, last_json, python

STEPS = 100


def measure(*, data: Path, rounds: int) -> Table:
    """Compare, for each model, the loop with the bare step."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        colour = Path(folder)
        _write_colour(colour)
        for (where, note), model in itertools.product(
            ((data, ""), (colour, ", 32×32×3")), ("cnn", "fast")
        ):
            argv = ["-m", "benchmarks.overhead", "--data", str(where), "--model", model]
            result = last_json(python(*argv, "--rounds", str(rounds)))
            medians, ratios = result["medians"], result["ratios"]
            figures = [f"{medians[name]:,.0f}" for name in ("batch", "memory", "loop")]
            rows.append((f"`{model}`{note}", *figures, f"{ratios['loop']:.3f}"))
    head = (
        "model",
        "bare compiled step, one fixed batch",
        "bare compiled step, data in memory",
        "training loop, data in memory",
        "loop ÷ bare, both on data in memory",
    )
    return Table("Overhead: images per CPU-second, one core", head, rows)


def _write_colour(folder: Path) -> None:
    """Write images of CIFAR's shape."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20_000, 32, 32, 3), np.uint8)
    np.save(folder / "train_data.npy", images)
    np.save(folder / "train_labels.npy", rng.integers(0, 10, len(images)))


class _Same:
    """An iterator whose every element is one batch: the step alone, with nothing to fetch."""

    def __init__(self, batch) -> None:
        self._batch = batch

    def __next__(self):
        return self._batch


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, required=True)
    args = parser.parse_args()

    from trainer.runtime import default_precision, import_tensorflow, never_stopped

    tf = import_tensorflow(threads=1)
    from trainer.config import Hparams, Job
    from trainer.distribution import SINGLE_PROCESS
    from trainer.models import recipes
    from trainer.training import Progress, RunState, Trainer, make_optimizer, make_train_steps

    job = Job(
        hparams=Hparams(model=args.model),
        train=(str(args.data),),
        steps=10**6,
        steps_per_call=STEPS,
    )
    job = recipes.complete(job, precision=default_precision(tf))
    trainer = Trainer(job, strategy=SINGLE_PROCESS, stop_requested=never_stopped)
    hparams = trainer.job.hparams
    data = trainer.data.train
    assert data.feed is not None

    def bare(feed, source):
        """Time calls of the step alone, always with the same source."""
        model = trainer.module.keras_model(hparams)
        optimizer = make_optimizer(hparams, steps=10**6)
        optimizer.build(model.trainable_variables)
        steps = make_train_steps(
            model, optimizer, label_smoothing=hparams.label_smoothing, feed=feed
        )
        steps(source, STEPS)

        def measure() -> float:
            start = time.process_time()
            steps(source, STEPS)
            return STEPS * hparams.batch_size / (time.process_time() - start)

        return measure

    def loop():
        """Time calls as a run makes them, with the state that it keeps."""
        trainer.start(Progress())
        state = RunState(
            steps=10**6, batch_size=hparams.batch_size, log_every=STEPS, progress=Progress()
        )

        def call() -> int:
            result = trainer.train(STEPS, state)
            state.advance(result)
            return len(result.scores)

        def measure() -> float:
            start = time.process_time()
            steps = call()
            return steps * hparams.batch_size / (time.process_time() - start)

        # Calls begin with one step each, and grow.
        while call() < STEPS:
            pass
        return measure

    measures = {
        "memory": bare(data.feed, data.feed.take(STEPS)),
        "batch": bare(None, _Same(next(iter(data.dataset)))),
        "loop": loop(),
    }
    medians, ratios = alternate(measures, rounds=args.rounds)
    print(json.dumps({"medians": medians, "ratios": ratios}))


if __name__ == "__main__":
    main()
