"""Records per CPU-second of the usual tf.data pipeline: parse each record, shuffle, batch.

    python -m benchmarks.rivals.naive_input --tfrecord FILE [--passes 3]

FILE holds one tf.train.Example per image with `image_raw` (bytes) and `label` (int64), as
`benchmarks.rivals.naive_write` leaves it. Each pass reads the whole file; the median is reported.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf

FEATURES = {
    "image_raw": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def parse(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    example = tf.io.parse_single_example(record, FEATURES)
    image = tf.cast(tf.io.decode_raw(example["image_raw"], tf.uint8), tf.float32) / 255.0
    return image, example["label"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tfrecord", type=Path, required=True)
    parser.add_argument("--passes", type=int, default=3)
    args = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    dataset = tf.data.TFRecordDataset(str(args.tfrecord)).map(parse).shuffle(1000).batch(128)
    # The map function is traced above, once; the first iterator also sets up tf.data's runtime.
    for _ in dataset.take(1):
        pass
    rates = []
    records = 0
    for _ in range(args.passes):
        records = 0
        begin = time.process_time()
        for _, labels in dataset:
            records += labels.shape[0]
        rates.append(records / (time.process_time() - begin))
    result = {
        "rival": "tf.data parse_single_example, shuffle, batch",
        "records": records,
        "passes": args.passes,
        "records_per_cpu_second": round(statistics.median(rates)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
