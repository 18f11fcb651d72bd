"""`trainer export` of real checkpoints: the model of a step is that of a run to that step."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from processes import trainer, weights

from trainer.training import checkpoint_state


def train(data: Path, folder: Path, *extra: str) -> str:
    ran = trainer(
        *("train", "--model", "fast", "--train", str(data), "--schedule", "constant"),
        *("--warmup", "0"),
        *("--eval-every", "20", "--checkpoint-every", "20"),
        *("--model-dir", str(folder / "model"), *extra),
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def export(checkpoint: str, model_dir: str, *extra: str):
    return trainer("export", "--checkpoint", checkpoint, "--model-dir", model_dir, *extra)


def answers(model: Path) -> np.ndarray:
    images = np.random.default_rng(5).random((16, 28, 28, 1), np.float32)
    loaded = tf.saved_model.load(str(model))
    return loaded.signatures["serving_default"](image_input=images)["probabilities"].numpy()


@pytest.fixture(scope="module")
def trained(tfrecords: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to step 40 with checkpoints in `ckpt`, and one to step 20 in `short`."""
    folder = tmp_path_factory.mktemp("trained")
    train(tfrecords, folder, "--steps", "40", "--checkpoint-dir", str(folder / "ckpt"))
    train(tfrecords, folder / "short", "--steps", "20")
    return folder


def test_the_model_of_a_step_predicts_as_that_of_a_run_to_that_step(
    trained: Path, tfrecords: Path, tmp_path: Path
):
    ran = export(f"{trained}/ckpt/20", str(tmp_path / "out"), "--test", str(tfrecords))
    assert (ran.returncode, ran.stdout) == (0, f"{tmp_path}/out/1\n"), ran.stderr
    assert f"compared on examples of --test {tfrecords}" in ran.stderr
    exported, short = tmp_path / "out/1", trained / "short/model/1"
    np.testing.assert_allclose(answers(exported), answers(short), atol=1e-6)
    assert weights(tmp_path / "out") == weights(trained / "short/model")
    # The mark's other half is a digest of the graph, which names functions by their number.
    here, there = (
        json.loads((model / "assets.extra/row_independence.json").read_bytes())
        for model in (exported, short)
    )
    assert here | {"graph": ""} == there | {"graph": ""}

    again = export(f"{trained}/ckpt", str(tmp_path / "flat"), "--layout", "flat")
    assert again.returncode == 0, again.stderr
    assert "compared on random inputs of shape [64, 28, 28, 1]" in again.stderr
    np.testing.assert_allclose(answers(tmp_path / "flat"), answers(trained / "model/1"), atol=1e-6)


def test_a_flag_that_contradicts_the_checkpoint_is_a_line_and_nothing_is_written(
    trained: Path, tmp_path: Path
):
    ran = export(f"{trained}/ckpt/best", str(tmp_path / "out"), "--model", "cnn")
    step = json.loads((trained / "ckpt/ckpt-00000040/state.json").read_bytes())["progress"]
    assert (ran.returncode, ran.stderr.splitlines()) == (2, [
        f"trainer: error: --model cnn: ckpt-{step['best_step']:08d} was trained with --model fast; "
        "leave the flag out"
    ])  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_an_earlier_version_needs_the_models_name(trained: Path, tmp_path: Path):
    old = tmp_path / "ckpt/ckpt-00000020"
    tf.io.gfile.makedirs(str(old))
    for file in (trained / "ckpt/ckpt-00000020").iterdir():
        (old / file.name).write_bytes(file.read_bytes())
    state = checkpoint_state.read(old)
    checkpoint_state.write(old, state.progress, state.variables)
    wrong = export(str(old.parent), str(tmp_path / "out"), "--model", "cnn")
    assert wrong.returncode == 2
    assert "ckpt-00000020 is of another model: it has " in wrong.stderr
    assert wrong.stderr.endswith("; the steps there are 20\n")
    right = export(str(old.parent), str(tmp_path / "out"), "--model", "fast")
    assert right.returncode == 0, right.stderr
    assert weights(tmp_path / "out") == weights(trained / "short/model")
