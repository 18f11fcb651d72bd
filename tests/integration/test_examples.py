"""The examples of models and data that people bring: each is trained, exported and asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from processes import environment, run, trainer

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def written(name: str, out: Path, *argv: str) -> Path:
    """Run an example's own writer of data."""
    script = str(EXAMPLES / f"{name}.py")
    ran = run([sys.executable, script, "--out", str(out), *argv], env=environment())
    assert ran.returncode == 0, ran.stderr
    return out


def trained(name: str, data: Path, out: Path, *argv: str) -> tuple[dict, object]:
    """Train an example: return its metrics, and the default signature of its model."""
    ran = trainer(
        *("train", "--module", str(EXAMPLES / f"{name}.py"), "--train", str(data)),
        *("--job-dir", str(out), *argv),
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    metrics = json.loads((out / "metrics.json").read_text())
    # Without a reference its variables would be gone.
    model = tf.saved_model.load(str(next((out / "model").glob("*/saved_model.pb")).parent))
    trained.models.append(model)
    return metrics, model.signatures["serving_default"]


trained.models = []


def test_photos_are_trained_on_by_folder_name(tmp_path):
    data = written("photos", tmp_path / "shapes", "--count", "40")
    split = trainer("data", "split", str(data), "--out", str(tmp_path / "parts"), "--test", "0.2")
    assert split.returncode == 0, split.stderr
    metrics, served = trained("photos", tmp_path / "parts", tmp_path / "run", "--steps", "3")
    assert metrics["class_names"] == ["circle", "square", "triangle"]
    assert metrics["data"]["test"]["examples"] == 24
    answer = served(image=tf.zeros((2, 96, 96, 3)))
    assert [*answer["probabilities"].shape] == [2, 3]


def test_texts_are_told_apart(tmp_path):
    data = written("reviews", tmp_path / "reviews")
    metrics, served = trained("reviews", data, tmp_path / "run")
    assert metrics["test_accuracy"] > 0.95
    texts = tf.constant(["what a lovely film", "the story was so dull"])
    (answer,) = [v for k, v in served(text=texts).items() if k == "classes"]
    assert answer.numpy().tolist() == [1, 0]


def test_two_inputs_are_compared(mnist_dir, tmp_path):
    argv = ("--steps", "150", "--batch-size", "128")
    metrics, served = trained("two_inputs", mnist_dir, tmp_path / "run", *argv)
    assert metrics["test_accuracy"] > 0.85
    numbers = tf.constant([9, 0], tf.int32)
    answer = served(image=tf.zeros((2, 28, 28, 1)), number=numbers)
    assert all(np.isfinite(value.numpy()).all() for value in answer.values())


def test_files_like_mnists_have_names_for_their_classes(mnist_dir, tmp_path):
    names = (EXAMPLES / "fashion_mnist.txt").read_text().splitlines()
    argv = ("--classes", str(EXAMPLES / "fashion_mnist.txt"), "--steps", "3")
    metrics, served = trained("fashion_mnist", mnist_dir, tmp_path / "run", *argv)
    assert metrics["class_names"] == names
    assert [*served(image=tf.zeros((1, 28, 28, 1)))["probabilities"].shape] == [1, 10]
    (kept,) = (tmp_path / "run/model").glob("*/assets.extra/classes.txt")
    assert kept.read_text().splitlines() == names
