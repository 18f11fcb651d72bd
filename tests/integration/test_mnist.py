"""The whole program on the real MNIST, as its users run it."""

import gzip
import json
import subprocess
import sys
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
    page = (tmp_path / "report.html").read_text()
    assert all(f">{title}<" in page for title in ("Learning curves", "Settings"))
    assert metrics["command"][:2] == ["trainer", "train"]
    assert metrics["test_accuracy"] >= least
    assert metrics["data"]["train"]["kind"] == "idx"
    assert str(tmp_path / "model" / "1") in ran.stdout.splitlines()[-5]
    assert ran.stdout.splitlines()[-1] == f"next: trainer serve --model-dir {tmp_path / 'model'}"

    pixels = unpacked(mnist_dir / "t10k-images-idx3-ubyte.gz")[16:]
    labels = np.frombuffer(unpacked(mnist_dir / "t10k-labels-idx1-ubyte.gz")[8:], np.uint8)
    images = np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28, 1)
    served = tf.saved_model.load(metrics["model_path"]).signatures["serving_default"]
    answers = served(image_input=tf.constant(images / 255, tf.float32))
    # Served in float32: a digit or two may round to the other side.
    assert np.mean(answers["classes"] == labels) == pytest.approx(
        metrics["test_accuracy"], abs=0.002
    )


ELSEWHERE = """
import sys
import numpy as np
import tensorflow as tf

signatures = tf.saved_model.load(sys.argv[1]).signatures
images = np.load(sys.argv[2])
examples = [
    tf.train.Example(features=tf.train.Features(feature={
        "image_raw": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()]))
    })).SerializeToString()
    for image in images
]
pictures = tf.stack([tf.io.encode_png(image) for image in images])
asked = {
    "serving_default": {"image_input": tf.constant(images / 255, tf.float32)},
    "serving_bytes": {"image_bytes": pictures},
    "serving_examples": {"examples": tf.constant(examples)},
}
found = [signatures[name](**given) for name, given in asked.items()]
for other in found[1:]:
    np.testing.assert_allclose(other["probabilities"], found[0]["probabilities"], atol=1e-5)
    np.testing.assert_array_equal(other["classes"], found[0]["classes"])
assert "trainer" not in sys.modules
print(*found[0]["classes"].numpy())
"""


def test_the_model_answers_alike_by_each_signature_without_this_package(
    mnist_dir: Path, tmp_path: Path
):
    ran = trainer(
        *("train", "--model", "fast", "--train", str(mnist_dir), "--steps", "300"),
        *("--model-dir", str(tmp_path / "model")),
    )
    assert ran.returncode == 0, ran.stderr
    pixels = unpacked(mnist_dir / "t10k-images-idx3-ubyte.gz")[16:]
    np.save(tmp_path / "images.npy", np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28, 1)[:20])
    argv = [sys.executable, "-c", ELSEWHERE, tmp_path / "model/1", tmp_path / "images.npy"]
    asked = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert asked.returncode == 0, asked.stderr
    labels = unpacked(mnist_dir / "t10k-labels-idx1-ubyte.gz")[8:28]
    right = [int(a) == b for a, b in zip(asked.stdout.split(), labels, strict=True)]
    assert sum(right) >= 18


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
