"""The cost of the training loop on top of the bare compiled step.

The bare step is the same compiled function, called again and again with the same arguments: either
one fixed batch, or the numbers of the same 100 batches, which it gathers from the data in memory.
The loop draws new ones each time, times the call, and looks at every loss.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks.common import Table, alternate, last_json, python

STEPS = 100


def measure(*, data: Path, rounds: int) -> Table:
    """Compare, for each model, the loop with the bare step."""
    rows = []
    for model in ("cnn", "fast"):
        argv = ["-m", "benchmarks.overhead", "--data", str(data), "--model", model]
        result = last_json(python(*argv, "--rounds", str(rounds)))
        medians, ratios = result["medians"], result["ratios"]
        figures = [f"{medians[name]:,.0f}" for name in ("batch", "memory", "loop")]
        rows.append((f"`{model}`", *figures, f"{ratios['loop']:.3f}"))
    head = (
        "model",
        "bare compiled step, one fixed batch",
        "bare compiled step, data in memory",
        "training loop, data in memory",
        "loop ÷ bare, both on data in memory",
    )
    return Table("Overhead: images per CPU-second, one core", head, rows)


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

    from trainer.runtime import default_precision, import_tensorflow

    tf = import_tensorflow(threads=1)
    import keras

    from trainer.config import Hparams, Job
    from trainer.data import Shard
    from trainer.models import mnist as models, recipes
    from trainer.runtime import POLICIES
    from trainer.training import (
        Progress,
        StepsPerCall,
        check_finite,
        make_optimizer,
        make_train_steps,
        reading,
    )

    job = recipes.complete(Job(hparams=Hparams(model=args.model)), precision=default_precision(tf))
    hparams = job.hparams
    keras.config.set_dtype_policy(POLICIES[hparams.precision])
    data = models.input_fn([str(args.data)], "train", hparams.batch_size, Shard())
    feed = data.feed
    assert feed is not None
    batch = next(iter(data))

    def compiled(feed):
        model = models.keras_model(hparams)
        optimizer = make_optimizer(hparams, steps=10**6)
        optimizer.build(model.trainable_variables)
        smoothing = hparams.label_smoothing
        return make_train_steps(model, optimizer, label_smoothing=smoothing, feed=feed)

    def bare(feed, source):
        """Time calls of the step alone, always with the same source."""
        steps = compiled(feed)
        steps(source, STEPS)

        def measure() -> float:
            start = time.process_time()
            steps(source, STEPS)
            return STEPS * hparams.batch_size / (time.process_time() - start)

        return measure

    def loop():
        """Time calls as the loop makes them, with the books that it keeps on them."""
        steps = compiled(feed)
        steps(feed.take(STEPS), STEPS)

        def measure() -> float:
            call = StepsPerCall(STEPS)
            with call:
                losses = reading(data.stream, steps, feed.take(STEPS), STEPS)
            check_finite(
                losses,
                losses,
                progress=Progress(),
                batch_size=hparams.batch_size,
                stream=data.stream,
            )
            return STEPS * hparams.batch_size / call.cpu_seconds

        return measure

    measures = {
        "memory": bare(feed, feed.take(STEPS)),
        "batch": bare(None, _Same(batch)),
        "loop": loop(),
    }
    medians, ratios = alternate(measures, rounds=args.rounds)
    print(json.dumps({"medians": medians, "ratios": ratios}))


if __name__ == "__main__":
    main()
