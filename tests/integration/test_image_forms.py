"""Whole runs on images of other shapes and numbers of classes than MNIST's."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from processes import trainer
from servers import serving

from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.formats.idx import pack

pytestmark = pytest.mark.tensorflow

TWO = ("--processes-per-host", "2", "--batch-size", "60")
FAST = ("--model", "fast", "--learning-rate", "0.01")


def put_bars(folder: Path, *, shape: tuple[int, int, int], classes: int, form: str) -> None:
    """Write pictures with a bright row at a place of each class, for training and test."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 600), ("test", 156)):
        labels = np.arange(count) % classes
        images = rng.integers(0, 60, (count, *shape), np.uint8)
        images[np.arange(count), labels * shape[0] // classes] = 255
        folder.mkdir(exist_ok=True)
        if form == "idx":
            (folder / f"{split}-images-idx3-ubyte").write_bytes(pack(images[..., 0]))
            (folder / f"{split}-labels-idx1-ubyte").write_bytes(pack(labels.astype(np.uint8)))
        elif form == "npy":
            np.save(folder / f"x_{split}.npy", images)
            np.save(folder / f"y_{split}.npy", labels)
        else:
            for part in range(2):
                rows = slice(part, None, 2)
                messages = encode_examples(images[rows], labels[rows])
                path = folder / f"{split}-0000{part}-of-00002.tfrecord"
                path.write_bytes(frame(messages).tobytes())


def train(data: Path, job: Path, *options: str) -> dict:
    """Train, and return metrics.json."""
    ran = trainer("train", "--train", str(data), "--job-dir", str(job), *FAST, *options)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads((job / "metrics.json").read_text())


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("letters")
    put_bars(folder, shape=(28, 28, 1), classes=26, form="idx")
    return folder


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colour")
    put_bars(folder, shape=(32, 32, 3), classes=12, form="tfrecord")
    return folder


def test_letters_train_are_exported_with_their_names_and_served(letters: Path, tmp_path: Path):
    names = [f"letter {chr(97 + i)}" for i in range(26)]
    (tmp_path / "names.txt").write_text("\n".join(names))
    checkpoints = tmp_path / "checkpoints"
    metrics = train(
        letters, tmp_path / "job", "--epochs", "12", "--classes", str(tmp_path / "names.txt"),
        "--checkpoint-dir", str(checkpoints),
    )  # fmt: skip
    # The model crops the border, where the rows of the first and the last class lie.
    assert metrics["test_accuracy"] > 0.8
    assert (metrics["classes"], metrics["class_names"]) == (26, names)
    assert metrics["hparams"]["input_shape"] == [28, 28, 1]
    assert metrics["evaluation"]["classes"] == names
    assert set(metrics["data"]["train"]["labels"]) == set(names)
    assert "letter q" in (tmp_path / "job/report.html").read_text()
    pictures = json.loads((tmp_path / "job/pictures.json").read_text())
    assert {one["true"] for one in pictures["samples"]} <= set(names)
    model = tmp_path / "job/model"
    written = (model / "1/assets.extra/classes.txt").read_text()
    assert written.splitlines() == names

    # A checkpoint knows what the data said: no data is needed to make its model again.
    ran = trainer("export", "--checkpoint", str(checkpoints), "--model-dir", str(tmp_path / "new"))
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "new/1/assets.extra/classes.txt").read_text() == written

    with serving(model) as server:
        server.wait_for("trainer: serving")
        found = server.get("/v1/models/model/metadata").json["metadata"]
        assert found["class_names"] == names
        image = np.zeros((28, 28, 1))
        image[17 * 28 // 26] = 1
        reply = server.post("/v1/models/model:predict", {"instances": [image.tolist()]})
        [answer] = reply.json["predictions"]
        assert (len(answer["probabilities"]), answer["classes"]) == (26, 17)


@pytest.mark.parametrize("form", ["npy", "tfrecord"])
def test_streamed_images_in_colour_train_like_those_in_memory(tmp_path: Path, form: str):
    put_bars(tmp_path / "data", shape=(32, 24, 3), classes=12, form=form)
    found = []
    for cache in ("1024", "0"):
        job = tmp_path / cache
        metrics = train(tmp_path / "data", job, "--epochs", "10", "--cache-mb", cache)
        assert metrics["classes"] == 12
        assert metrics["hparams"]["input_shape"] == [32, 24, 3]
        assert metrics["test_accuracy"] > 0.9
        found.append(metrics["weights_crc32c"])
    # Data of one piece is in the same order either way.
    assert found[0] == found[1]


def test_pictures_in_colour_are_served_in_any_size(colour: Path, tmp_path: Path):
    import tensorflow as tf

    train(colour, tmp_path / "job", "--epochs", "10")
    image = np.zeros((64, 96, 3), np.uint8)
    image[7 * 32 // 12 * 2 : 7 * 32 // 12 * 2 + 2] = 255
    png = tf.io.encode_png(image).numpy()
    with serving(tmp_path / "job/model") as server:
        server.wait_for("trainer: serving")
        body = {
            "signature_name": "serving_bytes",
            "instances": [{"b64": base64.b64encode(png).decode()}],
        }
        reply = server.post("/v1/models/model:predict", body)
        assert reply.status == 200, reply.body
        [answer] = reply.json["predictions"]
        assert (len(answer["probabilities"]), answer["classes"]) == (12, 7)


@pytest.mark.parametrize(
    "options",
    [
        ("--distribution", "multi_worker_mirrored", "--shard-by", "record", "--cache-mb", "0"),
        ("--distribution", "parameter_server"),
    ],
    ids=["two processes", "parameter servers"],
)
def test_several_processes_train_on_images_in_colour(
    colour: Path, tmp_path: Path, options: tuple[str, ...]
):
    metrics = train(colour, tmp_path / "job", "--epochs", "10", *TWO, *options)
    assert (metrics["classes"], metrics["hparams"]["input_shape"]) == (12, [32, 32, 3])
    assert metrics["test_accuracy"] > 0.8


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--classes", "20"), "record 20: label 20 is out of range, expected 0 to 19"),
        (("--image-size", "8,8"), "images of 8×8 are too small, expected 11×11 or more"),
        (("--classes", "none.txt"), "--classes none.txt: cannot be read: No such file"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(letters: Path, options: tuple[str, ...], problem: str):
    ran = trainer("train", "--train", str(letters), *FAST, *options)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert problem in ran.stderr.strip().splitlines()[-1]
