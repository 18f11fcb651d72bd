"""The model of a checkpoint, exported without its run: which it is, and what is refused."""

import dataclasses
import logging
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config import Hparams, Job, UserError
from trainer.runtime import output
from trainer.training import checkpoint_export, checkpoint_state, trained_with
from trainer.training.checkpoint_export import export_checkpoint
from trainer.training.export_options import ExportOptions
from trainer.training.loop import train_and_evaluate

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps with checkpoints of two and four, evaluated at its end."""
    folder = tmp_path_factory.mktemp("trained")
    job = Job(
        hparams=Hparams(model="fast", precision="float32", batch_size=20),
        steps=4, eval_every=4, checkpoint_every=2,
        model_dir=str(folder / "model"), checkpoint_dir=str(folder / "ckpt"),
    )  # fmt: skip
    train_and_evaluate(job)
    return folder


@pytest.fixture
def ckpt(trained: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoints that a test may change."""
    return shutil.copytree(trained / "ckpt", tmp_path / "ckpt")


def rewrite(ckpt: Path, *, variables=None, **changes) -> None:
    """Change what the newest checkpoint says that it was trained with."""
    path = ckpt / "ckpt-00000004"
    state = checkpoint_state.read(path)
    last = dataclasses.replace(trained_with.read(state.trained)[-1], **changes)
    checkpoint_state.write(path, state.progress, variables or state.variables, [last])


def forget(ckpt: Path) -> None:
    """Make the newest checkpoint one of an earlier version, which says nothing of its training."""
    path = ckpt / "ckpt-00000004"
    state = checkpoint_state.read(path)
    checkpoint_state.write(path, state.progress, state.variables)


def export(checkpoint: Path, **fields) -> str:
    fields = {"model_dir": str(checkpoint.parent / "out")} | fields
    return export_checkpoint(ExportOptions(checkpoint=str(checkpoint), **fields))


def refused(checkpoint: Path, **fields) -> str:
    """The line for which nothing is exported and nothing written."""
    with pytest.raises(UserError) as caught:
        export(checkpoint, **fields)
    assert not (checkpoint.parent / "out").exists()
    return str(caught.value)


def answers(model: str | Path) -> np.ndarray:
    images = np.random.default_rng(5).random((8, 28, 28, 1), np.float32)
    loaded = tf.saved_model.load(str(model))
    return loaded.signatures["serving_default"](image_input=images)["probabilities"].numpy()


def test_the_newest_checkpoint_answers_as_the_runs_model(trained, ckpt, caplog):
    caplog.set_level(logging.INFO, "trainer")
    path = export(ckpt)
    assert path == str(ckpt.parent / "out/1")
    np.testing.assert_allclose(answers(path), answers(trained / "model/1"), atol=1e-6)
    assert (
        "compared on random inputs of shape [64, 28, 28, 1], as no --test is given" in caplog.text
    )
    assert re.search(rf"model={path} step=4 test_accuracy=0\.\d{{4}}\n", caplog.text)


def test_an_earlier_checkpoint_is_another_model_of_unknown_accuracy(
    trained, ckpt, caplog, mnist_dir
):
    caplog.set_level(logging.INFO, "trainer")
    out = str(ckpt.parent / "out")
    path = export(ckpt / "2", model_dir=out, layout="flat", test=(str(mnist_dir),))
    assert path == out
    assert not np.allclose(answers(path), answers(trained / "model/1"), atol=1e-6)
    assert f"compared on examples of --test {mnist_dir}" in caplog.text
    assert f"model={path} step=2 test_accuracy=unknown" in caplog.text


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"model": "cnn"}, "--model cnn: ckpt-00000004 was trained with --model fast; leave"),
        (
            {"precision": "float16"},
            "--precision float16: ckpt-00000004 was trained with --precision float32; leave",
        ),
        ({"module": "own"}, "--module own: ckpt-00000004 was trained with --module trainer.mo"),
        ({"hp": (("width", "8"),)}, "--hp width 8: ckpt-00000004 was trained with --hp width no"),
    ],
)
def test_a_flag_that_contradicts_the_checkpoint_is_refused(ckpt, fields, line):
    assert refused(ckpt, **fields).startswith(line)


def test_flags_that_the_checkpoint_agrees_with_are_taken(ckpt):
    assert export(ckpt, model="fast", precision="float32", module=Job.module).endswith("/out/1")


def test_a_secret_that_the_checkpoint_leaves_out_is_to_be_given(ckpt):
    output.begin({}, [])
    state = trained_with.read(checkpoint_state.read(ckpt / "ckpt-00000004").trained)[-1]
    hidden = output.clean_value({"hp": [["api_token", "s3cr3t-value-123"]]})
    assert "s3cr3t" not in str(hidden)
    rewrite(ckpt, hparams={**state.hparams, **hidden})
    assert refused(ckpt).startswith(
        "--hp api_token: not given, and ckpt-00000004 leaves it out as a secret; give --hp api_tok"
    )
    assert export(ckpt, hp=(("api_token", "s3cr3t-value-123"),)).endswith("/out/1")


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("schedule", "sideways", "--schedule sideways: expected one of"),
        ("batch_size", "many", "--batch-size many: expected a whole number"),
    ],
)
def test_settings_that_this_version_does_not_know_are_refused(ckpt, name, value, flag):
    state = trained_with.read(checkpoint_state.read(ckpt / "ckpt-00000004").trained)[-1]
    rewrite(ckpt, hparams={**state.hparams, name: value})
    assert f"ckpt-00000004 has settings that this version does not know: {flag}" in refused(ckpt)


def test_a_checkpoint_of_an_earlier_version_needs_the_models_name(trained, ckpt, caplog):
    caplog.set_level(logging.INFO, "trainer")
    forget(ckpt)
    assert re.search(
        r"ckpt-00000004 is of another model: it has .* where .* has .*; the steps there are 2, 4$",
        refused(ckpt, model="cnn"),
    )
    np.testing.assert_allclose(
        answers(export(ckpt, model="fast")), answers(trained / "model/1"), atol=1e-6
    )
    assert "ckpt-00000004 is of an earlier version: its settings are those of" in caplog.text


def test_a_checkpoint_of_fewer_variables_is_of_another_model(ckpt):
    variables = checkpoint_state.read(ckpt / "ckpt-00000004").variables
    rewrite(ckpt, variables=variables[:2])
    assert "is of another model: it has nothing more where" in refused(ckpt)


def test_variables_that_tensorflow_cannot_read_are_a_line(ckpt):
    path = ckpt / "ckpt-00000004"
    state = checkpoint_state.read(path)
    index = path / "variables.index"
    index.write_bytes(b"x" * index.stat().st_size)
    # Its checksums are right.
    checkpoint_state.write(path, state.progress, state.variables, trained_with.read(state.trained))
    assert "ckpt-00000004 cannot be read by TensorFlow: " in refused(ckpt)


def sample_for(model: keras.Model):
    """What a model is compared on where no data is given."""
    options = ExportOptions(checkpoint="ckpt", model_dir="out")
    return checkpoint_export._sample(Job(), None, model, options)[0]


def test_random_inputs_have_the_shapes_and_types_of_a_models(caplog):
    caplog.set_level(logging.INFO, "trainer")
    number = keras.Input((3,), name="number", dtype="float16")
    whole = keras.Input((None, 2), name="whole", dtype="int32")
    wide = keras.layers.Flatten()(keras.ops.cast(whole, "float16")[:, :1])
    joined = keras.layers.Concatenate()([number, wide])
    sample = sample_for(keras.Model({"number": number, "whole": whole}, joined))
    assert sample["number"].dtype == tf.float16
    assert sample["number"].shape == (64, 3)
    assert 0 <= np.min(sample["number"]) < np.max(sample["number"]) <= 1
    assert sample["whole"].dtype == tf.int32
    assert (sample["whole"].shape[0], sample["whole"].shape[2]) == (64, 2)
    assert {*np.unique(sample["whole"])} == {0, 1}
    assert "compared on random inputs of shape [64, 3], [64, " in caplog.text


class Shapeless(keras.Model):
    """It does not say what it takes."""

    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("kind", ["shapeless", "text"])
def test_a_model_whose_inputs_cannot_be_made_up_needs_data(kind):
    model = Shapeless(name="mine")
    if kind == "text":
        text = keras.Input((1,), dtype="string")
        model = keras.Model(text, keras.layers.Identity(dtype="string")(text), name="mine")
    with pytest.raises(UserError, match="--test: not given, and no inputs can be made up for mine"):
        sample_for(model)


def test_inputs_are_made_up_for_a_sequential_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    assert sample_for(model).shape == (64, 3)
