"""Training on arrays as people have them: Keras' npz, SageMaker's sample bucket, CIFAR's shape."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from processes import trainer

pytestmark = pytest.mark.tensorflow

FAST = ("--model", "fast", "--epochs", "3", "--batch-size", "64", "--learning-rate", "0.01")


def bars(count: int, *, size: int = 28, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise with a bright bar at a height of each of ten classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    images = rng.integers(0, 60, (count, size, size), np.uint8)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[2 * label : 2 * label + 3] = 255
    return images, labels


def arrays(size: int = 28) -> list[np.ndarray]:
    """Return images and labels to train on, and to test on."""
    return [*bars(1024, size=size, seed=0), *bars(200, size=size, seed=1)]


def metrics_of(folder: Path, train: str, *options: str) -> dict:
    """Train, and return metrics.json."""
    job = folder / f"job-{train}{len(options)}"
    argv = ["--train", str(folder / train), "--job-dir", str(job)]
    ran = trainer("train", *argv, *FAST, *options)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads((job / "metrics.json").read_text())


def test_the_same_digits_train_to_the_same_accuracy_whatever_their_form(tmp_path: Path):
    x, y, x_test, y_test = arrays()
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    for name, images, labels in (("train", x, y), ("eval", x_test, y_test)):
        np.save(bucket / f"{name}_data.npy", (images / 255).astype("f4").reshape(-1, 784))
        np.save(bucket / f"{name}_labels.npy", labels.astype("i4"))
    keras, sagemaker = (metrics_of(tmp_path, name) for name in ("mnist.npz", "bucket"))
    assert keras["data"]["train"]["kind"] == "npz"
    assert keras["data"]["test"]["examples"] == sagemaker["data"]["test"]["examples"] == 200
    assert keras["test_accuracy"] > 0.9
    assert abs(keras["test_accuracy"] - sagemaker["test_accuracy"]) < 0.02


def test_colour_planes_with_one_hot_labels_train_and_are_resized(tmp_path: Path):
    x, y, x_test, y_test = arrays(32)
    folder = tmp_path / "cifar"
    folder.mkdir()
    for name, images, labels in (("train", x, y), ("test", x_test, y_test)):
        planes = np.stack([images] * 3, axis=1)
        np.save(folder / f"x_{name}.npy", np.asfortranarray(planes))
        np.save(folder / f"y_{name}.npy", np.eye(10)[labels])
    metrics = metrics_of(tmp_path, "cifar")
    assert metrics["test_accuracy"] > 0.9
    smaller = metrics_of(tmp_path, "cifar", "--image-size", "24,24", "--pixel-range", "0,255")
    assert smaller["test_accuracy"] > 0.9


@pytest.mark.parametrize(
    ("name", "damage", "expected"),
    [
        ("x_train.npy", lambda raw: raw[:-1], "the body has 39199 bytes, but the header calls for"),
        ("x_train.npy", lambda raw: raw.replace(b"28, 28)", b"28, 29)"), "the body has 39200"),
        ("y_train.npy", lambda raw: raw[:-8] + b"\xff" * 8, "record 49: label -1 is out of range"),
        ("y_train.npy", lambda _: b"", "no file of labels goes with"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_line_and_code_2(tmp_path: Path, name, damage, expected):
    images, labels = bars(50, seed=0)
    np.save(tmp_path / "x_train.npy", images)
    np.save(tmp_path / "y_train.npy", labels)
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    ran = trainer("train", "--train", str(tmp_path), "--model-dir", str(tmp_path / "model"))
    assert ran.returncode == 2
    (line,) = (line for line in ran.stderr.splitlines() if line.startswith("trainer: error: "))
    assert expected in line
