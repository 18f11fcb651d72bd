"""Training on tables as people have them: Kaggle's CSV, Hugging Face's Parquet, columns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from blocks import blocks
from column_files import csv_text, hugging_face
from processes import environment, run, trainer
from pyarrow import parquet

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.tensorflow


def bars(count: int, *, size: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise with a bright bar of three rows at a height of each class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = rng.integers(0, 60, (count, size, size), np.uint8)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[2 * label : 2 * label + 3] = 255
    return images, labels


def metrics_of(folder: Path, train: str, test: str, *options: str) -> dict:
    """Train, and return metrics.json."""
    argv = ["--train", str(folder / train), "--test", str(folder / test), *options]
    ran = trainer("train", *argv, "--job-dir", str(folder / "job"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads((folder / "job/metrics.json").read_text())


FAST = ("--model", "fast", "--epochs", "3", "--batch-size", "64", "--learning-rate", "0.01")


def test_the_csv_of_kaggles_digits_trains(tmp_path: Path):
    for name, count, seed in (("train", 1024, 0), ("test", 200, 1)):
        images, labels = bars(count, size=28, classes=10, seed=seed)
        (tmp_path / f"{name}.csv").write_text(csv_text(images, labels))
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    metrics = metrics_of(tmp_path, "train.csv", "test.csv", *FAST)
    assert metrics["data"]["train"]["kind"] == "csv"
    assert metrics["data"]["test"]["examples"] == 200
    assert metrics["test_accuracy"] > 0.9


@pytest.mark.parametrize("cache", ["1024", "0"])
def test_the_parquet_of_a_hub_trains_in_memory_and_streamed(tmp_path: Path, cache: str):
    names = [f"class {i}" for i in range(12)]
    for name, count, seed in (("train", 1024, 0), ("test", 240, 1)):
        images, labels = bars(count, size=32, classes=12, seed=seed)
        colours = np.stack([images] * 3, axis=3)
        path = tmp_path / f"{name}-00000-of-00001.parquet"
        hugging_face(path, colours, labels, names=names)
    folder = "."
    metrics = metrics_of(tmp_path, folder, folder, *FAST, "--cache-mb", cache)
    assert metrics["data"]["train"]["kind"] == "parquet"
    assert metrics["data"]["train"]["examples"] == 1024
    assert metrics["test_accuracy"] > 0.9


def test_a_table_without_labels_is_one_line_and_code_2(tmp_path: Path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"digit": [1], "image": [[0] * 784]}), path)
    ran = trainer("train", "--train", str(path), "--test", str(path))
    assert ran.returncode == 2
    assert ran.stderr.strip().splitlines()[-1] == (
        f"trainer: error: {path}: has no column label, labels, class, target or y, only digit, "
        "image; name that of the labels: --feature label=NAME"
    )


def test_a_module_learns_a_price_from_columns_of_parquet(tmp_path: Path):
    rng = np.random.default_rng(0)
    for name, count in (("train", 1000), ("test", 100)):
        area, age = rng.uniform(0, 1, (2, count))
        price = 3 * area - 2 * age + 1
        table = pa.table({"area": area, "age": age, "price": price})
        parquet.write_table(table, tmp_path / f"{name}.parquet", row_group_size=300)
    module_of_docs, notebook = (b.text for b in blocks("python") if b.page == "tables.md")
    (tmp_path / "houses.py").write_text(module_of_docs)
    module = ("--module", str(tmp_path / "houses.py"))
    metrics = metrics_of(tmp_path, "train.parquet", "test.parquet", *module)
    assert metrics["data"]["train"] == {
        "kind": "module", "examples": 1000, "files": [], "damaged": [],
    }  # fmt: skip
    assert metrics["steps"] == 800
    assert metrics["test_loss"] < 0.01
    (tmp_path / "houses").mkdir()
    (tmp_path / "test.parquet").rename(tmp_path / "houses/test.parquet")
    ran = subprocess.run(
        [sys.executable, "-c", notebook],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ran.stdout.split() == ["(64,)", "(64,)", "(36,)", "(36,)"]


def test_the_example_of_house_prices_learns_from_numbers_and_a_text(tmp_path: Path):
    example = str(ROOT / "examples/house_prices.py")
    ran = run([sys.executable, example, "--out", str(tmp_path / "houses")], env=environment())
    assert ran.returncode == 0, ran.stderr
    options = ("--module", example, "--metric", "mean_absolute_error:min")
    metrics = metrics_of(tmp_path, "houses", "houses", *options)
    assert (metrics["data"]["test"]["examples"], metrics["steps"]) == (500, 938)
    assert metrics["test_metrics"]["mean_absolute_error"] < 0.05

    import tensorflow as tf

    loaded = tf.saved_model.load(str(tmp_path / "job/model/1"))
    asked = {
        "area": [100.0, 100.0],
        "age": tf.constant([0, 0], tf.int64),
        "city": ["Bern", "Basel"],
    }
    answer = loaded.signatures["serving_default"](**{k: tf.constant(v) for k, v in asked.items()})
    bern, basel = answer["price"].numpy().ravel()
    assert abs(bern - 0.8) < 0.1
    assert abs(basel - 0.7) < 0.1
