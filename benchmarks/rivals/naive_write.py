"""Records per CPU-second of the usual way to write TFRecords: one tf.train.Example per image.

    python -m benchmarks.rivals.naive_write --data DIR --out FILE [--passes 3]

Writes MNIST's training images, `--passes` times over the same file, and reports the median pass.
The file that is left is a fit input for `benchmarks.rivals.naive_input`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

from .data import load_mnist


def int64_feature(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def bytes_feature(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def write(images: np.ndarray, labels: np.ndarray, path: Path) -> None:
    height, width = images.shape[1:]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for image, label in zip(images, labels, strict=True):
            feature = {
                "height": int64_feature(height),
                "width": int64_feature(width),
                "depth": int64_feature(1),
                "label": int64_feature(int(label)),
                "image_raw": bytes_feature(image.tobytes()),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--passes", type=int, default=3)
    args = parser.parse_args()

    mnist = load_mnist(args.data)
    # protobuf and the writer do one-off work at their first use.
    write(mnist.train_images[:100], mnist.train_labels[:100], args.out)
    rates = []
    for _ in range(args.passes):
        begin = time.process_time()
        write(mnist.train_images, mnist.train_labels, args.out)
        rates.append(len(mnist.train_images) / (time.process_time() - begin))
    result = {
        "rival": "tf.train.Example + TFRecordWriter",
        "records": len(mnist.train_images),
        "passes": args.passes,
        "records_per_cpu_second": round(statistics.median(rates)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
