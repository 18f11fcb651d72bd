"""Records per CPU-second, from a TFRecord file to batches of 128 float images, shuffled."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks.common import Table, alternate, last_json, python

BATCH, RECORDS, STEPS = 128, 60_000, 100


def measure(*, tfrecord: Path, rounds: int) -> Table:
    """Compare our input with the pipeline of most tutorials, in one process by turns."""
    argv = python("-m", "benchmarks.input", "--tfrecord", str(tfrecord), "--rounds", str(rounds))
    result = last_json(argv)
    rows = [
        (name, f"{result['medians'][name]:,.0f}", f"{result['ratios'][name]:.1f}")
        for name in result["medians"]
    ]
    return Table(
        "Input: records per CPU-second, batches of 128, one core",
        ("pipeline", "records/cs", "× naive"),
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tfrecord", type=Path, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    args = parser.parse_args()

    from trainer.runtime import import_tensorflow

    tf = import_tensorflow(threads=1)
    from benchmarks.rivals.naive_input import parse
    from trainer.data.pipeline import dataset
    from trainer.data.stream import Stream
    from trainer.data.tfrecord import TFRecordTable

    tables = [TFRecordTable(args.tfrecord)]

    def ours(cache_mb: float):
        return dataset(Stream(tables, batch_size=BATCH, training=True, cache_mb=cache_mb))

    naive = tf.data.TFRecordDataset(str(args.tfrecord)).map(parse).shuffle(1000)
    candidates = {
        "naive: `TFRecordDataset.map(parse_single_example).shuffle(1000).batch`": naive.batch(
            BATCH, drop_remainder=True
        ).repeat(),
        "streamed, checksums verified (`--cache-mb 0`)": ours(0),
        "in memory": ours(1024),
    }
    measures = {
        name: _timer(tf, data, epochs=1 if name.startswith("naive") else 4)
        for name, data in candidates.items()
    }
    medians, ratios = alternate(measures, rounds=args.rounds)
    print(json.dumps({"medians": medians, "ratios": ratios}))


def _timer(tf, data, *, epochs: int):
    """A function that reads some epochs as training does, inside a compiled loop."""
    feed = getattr(data, "feed", None)
    iterator = None if feed else iter(data)
    signature = [feed.spec, tf.TensorSpec((), tf.int32)] if feed else None

    @tf.function(autograph=False, input_signature=signature)
    def read(source, steps):
        def body(step, total):
            rows = feed.batch(*(rows[step] for rows in source)) if feed else next(source)
            images, labels = rows
            # Both are used, so that neither is optimised away.
            used = tf.reshape(images, (BATCH, -1))[0, 0] + tf.cast(labels[0], tf.float32)
            return step + 1, total + used

        return tf.while_loop(lambda step, _: step < steps, body, (0, 0.0))[1]

    def measure() -> float:
        start = time.process_time()
        left = steps = epochs * RECORDS // BATCH
        while left:
            count = min(left, STEPS, feed.most if feed else STEPS)
            read(feed.take(count) if feed else iterator, tf.constant(count))
            left -= count
        return steps * BATCH / (time.process_time() - start)

    measure()
    return measure


if __name__ == "__main__":
    main()
