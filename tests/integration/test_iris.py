"""Models of users' own, by `--module`: one on other data, one on the trainer's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from processes import trainer
from servers import serving

ROOT = Path(__file__).parent.parent.parent
# As in the article: a versicolor.
ASKED, VERSICOLOR = [6.4, 3.2, 4.5, 1.5], 1


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of train.csv and test.csv."""
    pytest.importorskip("sklearn")
    out = tmp_path_factory.mktemp("iris")
    script = ROOT / "examples/iris/iris_data.py"
    subprocess.run([sys.executable, script, "--out", out], check=True, timeout=60)
    return out


def train(module: str, *argv: str) -> subprocess.CompletedProcess:
    ran = trainer("train", "--module", module, *argv, env={"PYTHONPATH": str(ROOT)})
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


@pytest.fixture(scope="module")
def trained(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the trained `model`, `checkpoints` and metrics.json."""
    out = tmp_path_factory.mktemp("trained")
    argv = ["--train", str(rows / "train.csv"), "--test", str(rows / "test.csv")]
    argv += ["--batch-size", "30", "--job-dir", str(out)]
    train("examples.iris.iris_model", *argv, "--steps", "500")
    resumed = train("examples.iris.iris_model", *argv, "--steps", "1500")
    assert "resumed at step=500" in resumed.stdout
    return out


def test_the_data_is_the_real_one_split_evenly(rows: Path):
    both = [np.loadtxt(rows / f"{n}.csv", delimiter=",", skiprows=1) for n in ("train", "test")]
    assert [np.bincount(part[:, 4].astype(int)).tolist() for part in both] == [[40] * 3, [10] * 3]
    whole = np.concatenate(both)
    # Fisher's means of all 150 flowers, in cm.
    np.testing.assert_allclose(whole[:, :4].mean(0), [5.8433, 3.0573, 3.758, 1.1993], atol=1e-4)


def test_the_network_of_the_article_learns_iris_without_a_line_in_the_core(trained: Path):
    metrics = json.loads((trained / "metrics.json").read_text())
    # 4·10+10 + 10·20+20 + 20·10+10 + 10·3+3
    assert (metrics["model"], metrics["parameters"]) == ("iris_dnn", 513)
    assert metrics["steps"] == 1500
    assert metrics["test_accuracy"] >= 0.9
    assert metrics["data"]["train"]["kind"] == "module"
    assert [sum(row) for row in metrics["evaluation"]["confusion"]] == [10, 10, 10]
    # A row of a table is no picture.
    assert not (trained / "pictures.json").exists()


def test_the_exported_model_answers_what_the_article_asks(trained: Path):
    # Kept: the signatures hold only weak references to the variables.
    loaded = tf.saved_model.load(str(trained / "model/2"))
    signature = loaded.signatures["serving_default"]
    (argument,) = signature.structured_input_signature[1]
    assert argument == "inputs"
    answer = signature(inputs=tf.constant([ASKED, [5.1, 3.5, 1.4, 0.2]]))
    assert answer["classes"].numpy().tolist() == [VERSICOLOR, 0]
    assert answer["probabilities"].numpy()[0, VERSICOLOR] > 0.5
    np.testing.assert_allclose(answer["probabilities"].numpy().sum(1), 1, atol=1e-5)


def test_it_is_packed_for_sagemaker(trained: Path, tmp_path: Path):
    out = tmp_path / "model.tar.gz"
    ran = trainer("package", "--source", str(trained / "model"), "--out", str(out))
    assert ran.returncode == 0, ran.stderr
    assert "    in  inputs float32 [?, 4]" in ran.stdout
    assert "taken by SageMaker TensorFlow" in ran.stdout


def test_it_is_served_and_so_is_what_is_packed_and_imported_elsewhere(
    trained: Path, tmp_path: Path
):
    archive, imported = tmp_path / "model.tar.gz", tmp_path / "imported"
    ran = trainer("package", "--source", str(trained / "model"), "--out", str(archive))
    assert ran.returncode == 0, ran.stderr
    ran = trainer("train", "--import", "--input", str(archive), "--model-dir", str(imported))
    assert ran.returncode == 0, ran.stderr
    answers = []
    for folder in (trained / "model", imported):
        with serving(folder) as server:
            server.until(lambda: server.get("/ping").status == 200)
            reply = server.post("/invocations", {"instances": [ASKED]})
        assert reply.status == 200, reply.body
        answers.append(reply.json["predictions"][0])
    assert answers[0]["classes"] == VERSICOLOR
    assert answers[0] == answers[1]


def test_a_feed_forward_network_takes_the_trainers_own_data_and_a_flag_of_its_own(
    tfrecords: Path, tmp_path: Path
):
    argv = ["--train", str(tfrecords), "--steps", "200", "--model-dir", str(tmp_path / "model")]
    train("examples.mnist_mlp", *argv, "--units", "64")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["model"], metrics["parameters"]) == ("mnist_mlp", 785 * 64 + 65 * 10)
    assert metrics["test_accuracy"] > 0.85
    loaded = tf.saved_model.load(str(tmp_path / "model/1"))
    assert sorted(loaded.signatures) == ["serving_bytes", "serving_default", "serving_examples"]
    # Of its own RECIPE.
    assert metrics["hparams"]["learning_rate"] == 0.006


def test_a_module_without_a_recipe_is_trained_with_neutral_defaults(tmp_path: Path):
    (tmp_path / "plain.py").write_text("from trainer.model import *")
    argv = ["train", "--module", "plain", "--steps", "20", "--job-dir", str(tmp_path / "job")]
    ran = trainer(*argv, env={"PYTHONPATH": str(tmp_path)})
    assert ran.returncode == 0, ran.stderr
    line = "--module plain: no RECIPE; neutral defaults: batch_size=32 optimizer=adam "
    assert line + "learning_rate=0.001 schedule=constant" in ran.stdout
    hparams = json.loads((tmp_path / "job/metrics.json").read_text())["hparams"]
    assert (hparams["learning_rate"], hparams["schedule"]) == (0.001, "constant")
    assert (hparams["dropout"], hparams["label_smoothing"]) == (0, 0)


BROKEN = """
import tensorflow as tf
from trainer.model import input_fn, keras_model, serving_samples
from trainer import model as digits

def serving_input_fn(model):
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
    def unscaled(pictures):
        image = lambda picture: tf.ensure_shape(tf.io.decode_png(picture), (28, 28, 1))
        pixels = tf.map_fn(image, pictures, fn_output_signature=tf.uint8)
        probabilities = tf.nn.softmax(model(tf.cast(pixels, tf.float32)))
        return {"probabilities": probabilities, "classes": tf.argmax(probabilities, -1)}

    return {**digits.serving_input_fn(model), "serving_bytes": unscaled}
"""


def test_a_job_whose_signature_reads_pictures_otherwise_fails_and_leaves_no_model(tmp_path: Path):
    (tmp_path / "broken.py").write_text(BROKEN)
    argv = ["train", "--module", "broken", "--steps", "1", "--model-dir", str(tmp_path / "model")]
    ran = trainer(*argv, env={"PYTHONPATH": str(tmp_path)})
    assert ran.returncode == 2
    assert "the SavedModel's serving_bytes: probabilities differ from the model's" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert list((tmp_path / "model").glob("**/*")) == []
    assert not (tmp_path / "metrics.json").exists()
