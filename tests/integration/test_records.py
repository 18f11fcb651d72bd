"""Training on TFRecords as TFDS, models/slim and Spark write them, packed, damaged and streamed."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from processes import trainer
from record_files import encoded, message, write

pytestmark = pytest.mark.tensorflow

CLASSES = ("ant", "bee", "cow")
FAST = ("--model", "fast", "--steps", "40", "--batch-size", "32", "--learning-rate", "0.01")


def bars(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright bar at a height of each class."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, 28, 28, 1), np.uint8)
    labels = np.arange(count) % len(CLASSES)
    for image, label in zip(images, labels, strict=True):
        image[label * 9 : label * 9 + 6] = 255
    return images, labels


def tfds(image: np.ndarray, label: int) -> bytes:
    return message({"image": encoded(image), "label": label})


def slim(image: np.ndarray, label: int) -> bytes:
    return message(
        {
            "image/class/label": label,
            "image/encoded": encoded(image, "JPEG", quality=95),
            "image/format": b"jpg",
            "image/height": 28,
            "image/width": 28,
        }
    )


def spark(image: np.ndarray, label: int) -> bytes:
    return message(
        {"image": image.ravel().tolist(), "label": [float(i == label) for i in range(3)]}
    )


def sequence(image: np.ndarray, label: int) -> bytes:
    return message({"label": CLASSES[label]}, {"image": [encoded(image)]})


def put_tfds(folder: Path, make=tfds, pack=bytes) -> Path:
    """Write a data set of 300 and 60 under the names that TFDS gives its files."""
    for split, count, seed in (("train", 300, 0), ("test", 60, 1)):
        pairs = list(zip(*bars(count, seed), strict=True))
        for shard in range(2):
            name = f"bars-{split}.tfrecord-0000{shard}-of-00002"
            write(folder / name, [make(x, int(y)) for x, y in pairs[shard::2]], pack)
    (folder / "dataset_info.json").write_text('{"name": "bars"}')
    (folder / "features.json").write_text("{}")
    (folder / "label.labels.txt").write_text("\n".join(CLASSES))
    return folder


def metrics_of(folder: Path, *options: str) -> dict:
    """Train, and return metrics.json."""
    ran = trainer("train", "--train", str(folder), *options, "--job-dir", str(folder / "_job"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads((folder / "_job/metrics.json").read_text())


@pytest.mark.parametrize(
    ("make", "cache"), [(tfds, "1024"), (tfds, "0"), (slim, "0"), (spark, "0"), (sequence, "1024")]
)
def test_records_of_others_train_in_memory_and_streamed(tmp_path: Path, make, cache: str):
    metrics = metrics_of(put_tfds(tmp_path, make), *FAST, "--cache-mb", cache)
    assert metrics["data"]["train"]["kind"] == "tfrecord"
    assert metrics["data"]["train"]["examples"] == 300
    assert metrics["data"]["test"]["examples"] == 60
    assert metrics["evaluation"]["classes"] == list(CLASSES)
    assert metrics["test_accuracy"] > 0.9


def test_features_are_named_by_a_flag(tmp_path: Path):
    def renamed(image: np.ndarray, label: int) -> bytes:
        return message({"a": encoded(image), "b": encoded(image), "c": label, "d": label})

    put_tfds(tmp_path, renamed)
    ran = trainer("train", "--train", str(tmp_path), *FAST, "--job-dir", str(tmp_path / "_job"))
    assert ran.returncode == 2
    assert ran.stderr.strip().endswith("name them: --feature image=NAME,label=NAME")
    metrics = metrics_of(tmp_path, *FAST, "--feature", "image=b,label=d")
    assert metrics["test_accuracy"] > 0.9


def test_packed_records_train(tmp_path: Path):
    metrics = metrics_of(put_tfds(tmp_path, tfds, zlib.compress), *FAST)
    assert metrics["data"]["train"]["examples"] == 300
    assert metrics["test_accuracy"] > 0.9


def test_workers_of_a_parameter_server_read_packed_pictures(tmp_path: Path):
    ps = ("--distribution", "parameter_server", "--processes-per-host", "2")
    metrics = metrics_of(put_tfds(tmp_path, tfds, gzip.compress), *FAST, *ps)
    assert metrics["data"]["train"]["examples"] == 300


def test_a_damaged_picture_is_one_line_and_code_2_or_left_out(tmp_path: Path):
    put_tfds(tmp_path)
    path = tmp_path / "bars-train.tfrecord-00001-of-00002"
    images, labels = bars(300, 0)
    messages = [tfds(x, int(y)) for x, y in zip(images[1::2], labels[1::2], strict=True)]
    cut = encoded(images[0])[:100]
    messages[70] = message({"image": cut, "label": 1})
    write(path, messages)
    ran = trainer("train", "--train", str(tmp_path), *FAST, "--job-dir", str(tmp_path / "_job"))
    assert ran.returncode == 2
    line = ran.stderr.strip().splitlines()[-1]
    assert line.startswith(f"trainer: error: {path}: record 70: damaged PNG (it is cut short: 100")
    metrics = metrics_of(tmp_path, *FAST, "--skip-corrupt", "1")
    assert metrics["data"]["train"]["examples"] == 299
