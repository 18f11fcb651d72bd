"""The whole program on the real MNIST, as its users run it."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from processes import trainer


def unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


@pytest.mark.parametrize(("model", "least"), [("cnn", 0.985), ("fast", 0.985)])
def test_one_command_trains_the_real_mnist_and_exports_a_model_that_serves_it(
    mnist_dir: Path, tmp_path: Path, model: str, least: float
):
    # Straight from the four original files.
    ran = trainer(
        "train", "--model", model, "--train", str(mnist_dir), "--model-dir", str(tmp_path / "model")
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["test_accuracy"] >= least
    assert metrics["data"]["train"]["kind"] == "idx"
    assert str(tmp_path / "model" / "1") in ran.stdout.splitlines()[-1]

    pixels = unpacked(mnist_dir / "t10k-images-idx3-ubyte.gz")[16:]
    labels = np.frombuffer(unpacked(mnist_dir / "t10k-labels-idx1-ubyte.gz")[8:], np.uint8)
    images = np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28, 1)
    served = tf.saved_model.load(metrics["model_path"]).signatures["serving_default"]
    answers = served(image_input=tf.constant(images / 255, tf.float32))
    # Served in float32: a digit or two may round to the other side.
    assert np.mean(answers["classes"] == labels) == pytest.approx(
        metrics["test_accuracy"], abs=0.002
    )


def test_tfrecords_made_from_it_train_to_the_same_weights_as_the_originals(
    mnist_dir: Path, tmp_path: Path
):
    made = trainer("data", "create", "--source", str(mnist_dir), "--out", str(tmp_path / "data"))
    assert made.returncode == 0, made.stderr
    weights = []
    for name, source in (("a", mnist_dir), ("b", tmp_path / "data")):
        folder = tmp_path / name / "model"
        argv = ["--train", str(source), "--model-dir", str(folder), "--steps", "30"]
        ran = trainer("train", "--model", "fast", *argv)
        assert ran.returncode == 0, ran.stderr
        weights.append((folder / "1/variables/variables.data-00000-of-00001").read_bytes())
    assert weights[0] == weights[1]


def test_the_migration_examples_flags_run(tfrecords: Path, tmp_path: Path):
    ran = trainer(
        "train",
        *("--train", str(tfrecords / "train"), "--test", str(tfrecords / "test")),
        *("--model_dir", str(tmp_path / "model"), "--steps", "10", "--batch-size", "100"),
        *("--learning-rate", "0.001", "--verbosity", "WARN"),
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert json.loads((tmp_path / "metrics.json").read_text())["steps"] == 10
