"""Images per CPU-second of CIFAR's shape, from npy, Parquet and CSV, to shuffled batches of 128.

    python -m benchmarks.tables --folder DIR --kind npy|parquet|csv --pipeline map|memory|streamed

`map` is what tutorials do with arrays: a slice an image, a map that scales it, shuffle, batch. Each
measurement is a process of its own, as in `benchmarks.input`.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import Table, alternate, last_json, python
from benchmarks.read_loop import read_rate

BATCH, SHAPE, STEPS = 128, (32, 32, 3), 50
COUNT = 20_000
# Read in a measurement, after one that is not counted.
EPOCHS = 3
KINDS = {"npy": "npy", "parquet": "Parquet, lists of pixels", "csv": "CSV, a column a pixel"}
PIPELINES = {
    "map": "`from_tensor_slices(…).map(scale).shuffle(1000).batch`",
    "memory": "in memory",
    "streamed": "streamed (`--cache-mb 0`)",
}


def measure(*, folder: Path, rounds: int) -> Table:
    """Compare the formats, in memory and streamed, with a map over records, by turns."""
    _write(folder)
    candidates: dict[tuple[str, str], Callable[[], float]] = {
        ("npy", "map"): functools.partial(_rate, "npy", "map", folder)
    }
    for kind in KINDS:
        for pipeline in ("memory", "streamed"):
            candidates[kind, pipeline] = functools.partial(_rate, kind, pipeline, folder)
    named = {f"{KINDS[kind]}: {PIPELINES[p]}": call for (kind, p), call in candidates.items()}
    medians, ratios = alternate(named, rounds=rounds)
    return Table(
        "Images of 32×32×3: images per CPU-second, batches of 128, one core",
        ("format and pipeline", "images/cs", "× map"),
        [(name, f"{medians[name]:,.0f}", f"{ratios[name]:.1f}") for name in named],
    )


def _write(folder: Path) -> None:
    """Write the same images in each format."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv, parquet

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, *SHAPE), np.uint8)
    labels = rng.integers(0, 10, COUNT)
    for kind in KINDS:
        (folder / kind).mkdir(parents=True, exist_ok=True)
    np.save(folder / "npy/images.npy", images)
    np.save(folder / "npy/labels.npy", labels)
    pixels = images.reshape(COUNT, -1)
    lists = pa.FixedSizeListArray.from_arrays(pixels.ravel(), pixels.shape[1])
    table = pa.table({"image": lists, "label": labels})
    parquet.write_table(table, folder / "parquet/train.parquet")
    columns = {f"pixel{i}": column for i, column in enumerate(pixels.T)}
    csv.write_csv(pa.table({"label": labels, **columns}), folder / "csv/train.csv")


def _rate(kind: str, pipeline: str, folder: Path) -> float:
    command = ["-m", "benchmarks.tables", "--folder", str(folder)]
    return last_json(python(*command, "--kind", kind, "--pipeline", pipeline))["images_per_cs"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--pipeline", choices=PIPELINES, required=True)
    args = parser.parse_args()

    from trainer.runtime import import_tensorflow

    tf = import_tensorflow(threads=1)
    feed = iterator = None
    if args.pipeline == "map":
        import numpy as np

        arrays = [np.load(args.folder / f"npy/{name}.npy") for name in ("images", "labels")]
        data = tf.data.Dataset.from_tensor_slices(tuple(arrays)).map(
            lambda image, label: (tf.cast(image, tf.float32) / 255.0, label)
        )
        iterator = iter(data.shuffle(1000).repeat().batch(BATCH, drop_remainder=True))
    else:
        from trainer.data import Stream, make_dataset, open_tables

        cache = 0 if args.pipeline == "streamed" else 1024
        tables = open_tables([str(args.folder / args.kind)], split="train")
        stream = Stream(tables, batch_size=BATCH, training=True, cache_mb=cache)
        feed = make_dataset(stream).feed

    rate = read_rate(
        tf, feed=feed, iterator=iterator, batch=BATCH, steps=STEPS, examples=COUNT, epochs=EPOCHS
    )
    print(json.dumps({"images_per_cs": rate}))


if __name__ == "__main__":
    main()
