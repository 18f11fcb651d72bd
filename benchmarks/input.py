"""Records per CPU-second, from a TFRecord file to batches of 128 float images, shuffled.

    python -m benchmarks.input --tfrecord FILE --pipeline naive|streamed|memory

Each measurement is a process of its own: tf.data goes on filling its buffers in the background,
which would be charged to whatever is measured next.
"""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path

from benchmarks.common import Table, alternate, last_json, python
from benchmarks.read_loop import read_rate

BATCH, RECORDS, STEPS = 128, 60_000, 100
# Read in a measurement, after one that is not counted.
EPOCHS = 6
PIPELINES = {
    "naive": "naive: `TFRecordDataset.map(parse_single_example).shuffle(1000).batch`",
    "streamed": "streamed, checksums verified (`--cache-mb 0`)",
    "memory": "in memory",
}


def measure(*, tfrecord: Path, rounds: int) -> Table:
    """Compare our input with the pipeline of most tutorials, by turns."""
    medians, ratios = alternate(
        {name: functools.partial(_rate, name, tfrecord) for name in PIPELINES}, rounds=rounds
    )
    rows = [(PIPELINES[n], f"{medians[n]:,.0f}", f"{ratios[n]:.1f}") for n in PIPELINES]
    return Table(
        "Input: records per CPU-second, batches of 128, one core",
        ("pipeline", "records/cs", "× naive"),
        rows,
    )


def _rate(pipeline: str, tfrecord: Path) -> float:
    command = ["-m", "benchmarks.input", "--tfrecord", str(tfrecord), "--pipeline", pipeline]
    return last_json(python(*command))["records_per_cpu_second"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tfrecord", type=Path, required=True)
    parser.add_argument("--pipeline", choices=PIPELINES, required=True)
    args = parser.parse_args()

    from trainer.runtime import import_tensorflow

    tf = import_tensorflow(threads=1)
    if args.pipeline == "naive":
        from benchmarks.rivals.naive_input import parse

        records = tf.data.TFRecordDataset(str(args.tfrecord)).map(parse)
        data = records.shuffle(1000).batch(BATCH, drop_remainder=True).repeat()
        feed = None
    else:
        from trainer.data import Stream, TFRecordTable, make_dataset

        cache = 0 if args.pipeline == "streamed" else 1024
        tables = [TFRecordTable(args.tfrecord)]
        data = make_dataset(Stream(tables, batch_size=BATCH, training=True, cache_mb=cache))
        feed = data.feed
    iterator = None if feed else iter(data)
    rate = read_rate(
        tf, feed=feed, iterator=iterator, batch=BATCH, steps=STEPS, examples=RECORDS, epochs=EPOCHS
    )
    print(json.dumps({"records_per_cpu_second": rate}))


if __name__ == "__main__":
    main()
