"""Pictures per CPU-second, from files to batches of 128 float images, shuffled.

    python -m benchmarks.pictures --data DIR --kind jpeg|png --pipeline NAME

The first epoch counts from the paths on: listing, headers and the tracing of graphs are included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import Table, last_json, python

BATCH, STEPS = 128, 16
# Photographs as ImageNet's are on average, and the size that most networks take.
PHOTO, WANTED = (375, 500), (224, 224)
COUNTS = {"jpeg": 1280, "png": 60_000}
PIPELINES = {
    "jpeg": {
        "tfdata": "tuned tf.data: TFRecords, `map(decode_jpeg, resize, AUTOTUNE)`, batch, prefetch",
        "keras": "`keras.utils.image_dataset_from_directory`",
        "antialias": "tuned tf.data, shrunk with `antialias=True`",
        "records": "TFRecords, streamed (`--cache-mb 0`)",
        "folder": "folder, streamed",
        "records-memory": "TFRecords, in memory",
        "memory": "folder, in memory",
    },
    "png": {
        "keras": "`keras.utils.image_dataset_from_directory`",
        "folder": "folder, streamed (`--cache-mb 0`)",
        "memory": "folder, in memory",
    },
}
TITLES = {
    "jpeg": "JPEGs of 500×375 as 224×224: pictures per CPU-second, batches of 128, one core",
    "png": "MNIST as 60,000 PNGs: pictures per CPU-second, batches of 128, one core",
}


def measure(*, kind: str, mnist: Path, rounds: int) -> Table:
    """Compare our input with what TensorFlow and Keras offer, by turns."""
    with tempfile.TemporaryDirectory() as folder:
        make_pngs(Path(folder), mnist) if kind == "png" else make_jpegs(Path(folder))
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in PIPELINES[kind]}
        for _ in range(rounds):
            for name, rates in found.items():
                rates.append(_rates(kind, name, folder))
    base = next(iter(found.values()))
    rows = []
    for name, rates in found.items():
        cells = []
        for epoch in 0, 1:
            rate = statistics.median(each[epoch] for each in rates)
            ratio = statistics.median(a[epoch] / b[epoch] for a, b in zip(rates, base, strict=True))
            cells += [f"{rate:,.0f}", f"{ratio:.2f}"]
        rows.append((PIPELINES[kind][name], *cells))
    head = ("pipeline", "first epoch", "× first row", "later epochs", "× first row")
    return Table(TITLES[kind], head, rows)


def _rates(kind: str, pipeline: str, data: str) -> tuple[float, float]:
    command = ["-m", "benchmarks.pictures", "--data", data, "--kind", kind]
    found = last_json(python(*command, "--pipeline", pipeline))
    return found["first"], found["later"]


def make_pngs(folder: Path, mnist: Path) -> None:
    """Write MNIST's training images into a folder a class."""
    from PIL import Image

    from benchmarks.rivals.data import load_mnist

    data = load_mnist(mnist)
    for label in range(10):
        (folder / "folder" / str(label)).mkdir(parents=True)
    for i, (image, label) in enumerate(zip(data.train_images, data.train_labels, strict=True)):
        Image.fromarray(image).save(folder / "folder" / str(label) / f"{i:05d}.png")


def make_jpegs(folder: Path) -> None:
    """Write pictures with the detail and noise of photographs, as files and as TFRecords."""
    import numpy as np
    from PIL import Image

    from trainer.runtime import import_tensorflow

    tf = import_tensorflow(threads=1)
    rng = np.random.default_rng(0)
    height, width = PHOTO
    with tf.io.TFRecordWriter(str(folder / "train.tfrecord")) as writer:
        for i in range(COUNTS["jpeg"]):
            coarse = rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8)
            shapes = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
            pixels = np.asarray(shapes) + rng.integers(-12, 13, (height, width, 3))
            path = folder / "folder" / str(i % 10) / f"{i:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)
            feature = {
                "image/encoded": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[path.read_bytes()])
                ),
                "image/class/label": tf.train.Feature(
                    int64_list=tf.train.Int64List(value=[i % 10])
                ),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def _theirs(pipeline: str, kind: str, data: Path) -> Callable[[int], None]:
    """Return what reads so many epochs through tf.data."""
    from benchmarks.rivals.picture_input import keras_folder, tuned_records

    if pipeline == "keras":
        size = WANTED if kind == "jpeg" else (28, 28)
        batches = keras_folder(data / "folder", size=size, grey=kind == "png", batch=BATCH)
    else:
        path, antialias = data / "train.tfrecord", pipeline == "antialias"
        batches = tuned_records(path, size=WANTED, batch=BATCH, antialias=antialias)

    def read(epochs: int) -> None:
        for _ in range(epochs):
            for _ in batches:
                pass

    return read


def _ours(pipeline: str, kind: str, data: Path) -> Callable[[int], None]:
    """Return what reads so many epochs as training does: in a compiled loop."""
    import tensorflow as tf

    from trainer.data import ReadOptions, Stream, make_dataset, open_tables

    path = data / ("train.tfrecord" if pipeline.startswith("records") else "folder")
    options = ReadOptions(image_size=WANTED if kind == "jpeg" else None)
    tables = open_tables([str(path)], split="train", options=options)
    cache = 4096 if pipeline.endswith("memory") else 0
    stream = Stream(tables, batch_size=BATCH, training=True, cache_mb=cache)
    feed = make_dataset(stream).feed
    assert feed is not None

    @tf.function(autograph=False, input_signature=[feed.spec, tf.TensorSpec((), tf.int32)])
    def step(source, steps):
        def body(i, total):
            images, labels = feed.batch(*(rows[i] for rows in source))
            used = tf.reshape(images, (BATCH, -1))[0, 0] + tf.cast(labels[0], tf.float32)
            return i + 1, total + used

        return tf.while_loop(lambda i, _: i < steps, body, (0, 0.0))[1]

    def read(epochs: int) -> None:
        left = epochs * COUNTS[kind] // BATCH
        while left:
            count = min(left, STEPS, feed.most)
            step(feed.take(count), tf.constant(count))
            left -= count

    return read


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kind", choices=PIPELINES, required=True)
    parser.add_argument("--pipeline", required=True)
    args = parser.parse_args()

    from trainer.runtime import import_tensorflow

    import_tensorflow(threads=1)
    import keras  # noqa: F401  The import is nobody's first epoch.

    make = _theirs if args.pipeline in ("tfdata", "antialias", "keras") else _ours
    epochs = 2
    start = time.process_time()
    read = make(args.pipeline, args.kind, args.data)
    read(1)
    first = time.process_time()
    read(epochs)
    later = time.process_time() - first
    count = COUNTS[args.kind]
    print(json.dumps({"first": count / (first - start), "later": epochs * count / later}))


if __name__ == "__main__":
    main()
