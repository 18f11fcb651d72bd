"""The loop, on data small enough for a second a run; real MNIST is in tests/integration."""

import dataclasses
import json
import logging
import math
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from trainer.config.cluster import Cluster
from trainer.config.errors import DataError, UserError
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.data.create import create_dataset
from trainer.data.files import open_tables
from trainer.training import progress_line
from trainer.training.evaluation_callbacks import AfterEvaluation
from trainer.training.loop import train_and_evaluate

pytestmark = pytest.mark.tensorflow

HPARAMS = Hparams(model="fast", precision="float32", batch_size=50)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """1,000 training and 200 test digits, in npy files."""
    folder = tmp_path_factory.mktemp("small")
    for split, count in (("train", 1000), ("test", 200)):
        images, labels = open_tables([], split=split)[0].read(0, 1024)
        np.save(folder / f"{split}_images.npy", images[:count])
        np.save(folder / f"{split}_labels.npy", labels[:count])
    return folder


@pytest.fixture
def run(small, tmp_path, capsys):
    def run_job(name: str = "run", hparams: Hparams = HPARAMS, **fields) -> dict:
        folder = tmp_path / name
        fields = {"train": (str(small),), "steps": 40, "model_dir": str(folder / "model")} | fields
        metrics = train_and_evaluate(Job(hparams=hparams, **fields))
        return metrics.metrics | {"log": capsys.readouterr().out.splitlines()}

    return run_job


def weights(metrics: dict) -> list[np.ndarray]:
    loaded = tf.saved_model.load(metrics["model_path"])
    return [v.numpy() for v in loaded.signatures["serving_default"].variables]


def same(a: dict, b: dict) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def test_a_run_without_a_report_writes_its_metrics_only(run, tmp_path):
    run(report=False, steps=1)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["metrics.json", "model"]


def test_a_run_learns_reports_and_exports(run, tmp_path):
    metrics = run(steps=None, epochs=3)
    assert metrics["steps"] == 60
    assert metrics["epochs"] == 3
    assert metrics["test_accuracy"] > 0.7
    assert metrics["parameters"] == 138_938
    assert metrics["train_cpu_seconds"] > 0
    assert metrics["images_per_second"] > 0
    assert metrics["model_path"] == str(tmp_path / "run" / "model" / "1")
    assert metrics["data"]["train"]["kind"] == "npy"
    assert (metrics["data"]["train"]["examples"], metrics["data"]["test"]["examples"]) == (
        1000,
        200,
    )
    written = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert written == {k: v for k, v in metrics.items() if k != "log"} | {
        "hparams": {**metrics["hparams"], "hp": []}
    }


def test_the_exported_model_is_as_accurate_as_reported(run, small):
    metrics = run()
    served = tf.saved_model.load(metrics["model_path"]).signatures["serving_default"]
    images, labels = (np.load(small / f"test_{kind}.npy") for kind in ("images", "labels"))
    classes = served(image_input=tf.constant(images / 255, tf.float32))["classes"]
    assert np.mean(classes == labels) == pytest.approx(metrics["test_accuracy"])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(run):
    first, again = run("a"), run("b")
    other = run("c", dataclasses.replace(HPARAMS, seed=1))
    assert same(first, again)
    assert not same(first, other)


def test_memory_streaming_and_calls_of_any_length_are_the_callers_choice_alone(run):
    assert same(run("a", steps_per_call=40), run("b", steps_per_call=7, log_every=3))
    assert run("c", cache_mb=0.0)["test_accuracy"] > 0.5


def test_epochs_are_rounded_up_to_whole_steps(run):
    assert run(steps=None, epochs=0.51)["steps"] == math.ceil(0.51 * 1000 / 50)


def test_evaluation_keeps_the_pace_asked_for(run):
    log = run(steps=10, eval_every=4)["log"]
    assert [line.split()[0] for line in log if "test_accuracy" in line and "step=" in line] == [
        "step=4", "step=8", "step=10",
    ]  # fmt: skip


def test_the_target_accuracy_ends_the_run_early_though_somebody_else_evaluates(run):
    cluster = Cluster(chief=("a",), worker=("b",), ps=("c",), evaluator=("d",))
    fields = {"steps": 60, "eval_every": 5, "cluster": cluster}
    assert run("a", target_accuracy=0.5, **fields)["steps"] < 60
    # Without one the loop leaves it to the evaluator but for the last.
    log = run("b", **fields)["log"]
    assert sum("test_accuracy=" in line and line.startswith("step=") for line in log) == 1


def test_the_target_accuracy_ends_the_run_early(run):
    metrics = run(steps=400, eval_every=5, target_accuracy=0.5)
    assert metrics["test_accuracy"] >= 0.5
    assert metrics["steps"] < 400
    assert metrics["steps"] % 5 == 0


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_too(run, precision):
    metrics = run(hparams=dataclasses.replace(HPARAMS, precision=precision))
    assert metrics["test_accuracy"] > 0.5


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_every_optimizer_and_schedule_learns(run, optimizer, schedule):
    rate = 0.05 if optimizer == "sgd" else 0.003
    changed = dataclasses.replace(
        HPARAMS, optimizer=optimizer, schedule=schedule, learning_rate=rate
    )
    assert run(hparams=changed)["test_accuracy"] > 0.4


@pytest.mark.parametrize("model", ["fast", "cnn"])
def test_a_resumed_run_ends_with_the_weights_of_one_never_stopped(run, tmp_path, model):
    hparams = dataclasses.replace(HPARAMS, model=model)
    whole = run("whole", hparams)
    kept = {"checkpoint_dir": str(tmp_path / "ckpt"), "checkpoint_every": 10, "keep": 9}
    run("first", hparams, **kept)
    for step in (30, 40):
        # As if it had been killed after step 20.
        (tmp_path / "ckpt" / f"ckpt-{step:08d}" / "state.json").unlink()
    resumed = run("second", hparams, **kept)
    assert "resumed at step=20" in resumed["log"]
    assert same(whole, resumed)
    assert resumed["test_accuracy"] == whole["test_accuracy"]


def test_steps_of_another_size_than_those_before_are_warned_of(run, tmp_path):
    def warned(name: str, size: int) -> list[str]:
        hparams = dataclasses.replace(HPARAMS, batch_size=size)
        log = run(name, hparams, steps=20, checkpoint_dir=str(tmp_path / "ckpt"))["log"]
        return [line for line in log if "20 steps had 1000 examples, those to come have" in line]

    assert not warned("first", 50)
    assert not warned("again", 50)
    assert len(warned("other", 100)) == 1


def test_a_finished_run_started_again_says_so_and_exports_nothing_new(run, tmp_path):
    kept = {"checkpoint_dir": str(tmp_path / "ckpt"), "target_accuracy": 0.3, "eval_every": 20}
    first = run(**kept)
    report = (tmp_path / "run/metrics.json").read_bytes()
    other = dataclasses.replace(HPARAMS, learning_rate=0.5, seed=3)
    again = run(hparams=other, **kept)
    (left,) = [line for line in again["log"] if line.startswith("nothing left to train: ")]
    assert "reaches --target-accuracy 0.3; " in left
    assert left.endswith(f"their model is {first['model_path']}, and nothing new is exported")
    changed = f"--learning-rate {first['hparams']['learning_rate']:g} (now 0.5); --seed 0 (now 3)"
    assert changed in " ".join(again["log"])
    assert [p.name for p in (tmp_path / "run/model").iterdir()] == ["1"]
    assert (tmp_path / "run/metrics.json").read_bytes() == report

    # Where its model is not there, it is exported with what the weights were trained with.
    elsewhere = run("elsewhere", other, **kept)
    assert same(first, elsewhere)
    assert elsewhere["test_accuracy"] == first["test_accuracy"]
    assert elsewhere["hparams"] == {**first["hparams"], "hp": []}
    assert elsewhere["trained_before"] == []


ACTIVATED = """
import keras
from trainer.models.mnist import input_fn, serving_input_fn

RECIPE = {"learning_rate": 0.01, "schedule": "constant"}

def keras_model(hparams):
    activation = dict(hparams.hp)["activation"]
    image = keras.Input((28, 28, 1), name="image_input")
    hidden = keras.layers.Dense(20, activation=activation)(keras.layers.Flatten()(image))
    return keras.Model(image, keras.layers.Dense(10)(hidden))
"""


@pytest.fixture
def activated(tmp_path, monkeypatch):
    """A module whose hyperparameter changes the model, but none of its shapes."""
    (tmp_path / "activated.py").write_text(ACTIVATED)
    monkeypatch.chdir(tmp_path)
    # The folders of other tests are in the search path, too.
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "activated", raising=False)
    return dataclasses.replace(HPARAMS, hp=(("activation", "relu"),))


def answers(metrics: dict, digits: np.ndarray) -> np.ndarray:
    """Return the probabilities by the model of a run."""
    served = tf.saved_model.load(metrics["model_path"]).signatures["serving_default"]
    (name,) = served.structured_input_signature[1]
    return next(iter(served(**{name: tf.constant(digits)}).values())).numpy()


def test_a_finished_run_is_exported_again_with_the_settings_of_its_weights(
    run, activated, small, tmp_path
):
    kept = {"checkpoint_dir": str(tmp_path / "ckpt"), "module": "activated"}
    first = run("first", activated, **kept)
    digits = np.load(small / "test_images.npy")[:20].reshape(-1, 28, 28, 1) / np.float32(255)
    other = dataclasses.replace(activated, hp=(("activation", "tanh"),), precision="bfloat16")
    again = run("again", other, **kept, layout="servo")
    assert np.array_equal(answers(again, digits), answers(first, digits))
    assert again["test_accuracy"] == first["test_accuracy"]
    assert again["hparams"] == first["hparams"]
    assert again["trained_before"] == []
    line = " ".join(again["log"])
    assert "--hp activation=relu (now activation=tanh)" in line
    assert "--precision float32 (now bfloat16)" in line
    assert "model and report have the settings that the weights were trained with" in line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"module": "other"}, "--module activated (now other)"),
        ({"precision": "bfloat16"}, "--precision float32 (now bfloat16)"),
        ({"recipe": '"learning_rate": 0.003'}, "--learning-rate 0.01 (now 0.003)"),
    ],
    ids=["module", "precision", "recipe"],
)
def test_a_resumed_run_names_both_values_of_what_is_no_longer_the_same(
    run, activated, tmp_path, monkeypatch, change, said
):
    kept = {"checkpoint_dir": str(tmp_path / "ckpt"), "eval_every": 100, "module": "activated"}
    run("first", activated, steps=5, **kept)
    text = ACTIVATED.replace('"learning_rate": 0.01', change.get("recipe", '"learning_rate": 0.01'))
    for name in ("activated", "other"):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    kept["module"] = change.get("module", "activated")
    now = dataclasses.replace(activated, precision=change.get("precision", "float32"))
    resumed = run("second", now, **kept | {"steps": 10})
    (line,) = [line for line in resumed["log"] if "steps were trained with" in line]
    assert line == f"warning: --checkpoint-dir: its 5 steps were trained with {said}"
    (before,) = resumed["trained_before"]
    assert (before["from_step"], before["module"]) == (0, "activated")
    assert before["hparams"]["precision"] == "float32"
    assert before["hparams"]["learning_rate"] == 0.01
    assert resumed["hparams"]["precision"] == now.precision
    assert resumed["hparams"]["learning_rate"] == (0.003 if "recipe" in change else 0.01)


def test_a_precision_with_other_variables_is_refused_with_both_values(run, tmp_path):
    run("first", checkpoint_dir=str(tmp_path / "ckpt"), steps=5)
    other = dataclasses.replace(HPARAMS, precision="float16")
    with pytest.raises(UserError, match=r"--precision float32 \(now float16\)"):
        run("second", other, checkpoint_dir=str(tmp_path / "ckpt"))


def test_a_finished_run_whose_settings_are_not_changed_is_not_built_again(run, tmp_path):
    kept = {"checkpoint_dir": str(tmp_path / "ckpt")}
    run("first", **kept)
    assert not [line for line in run("again", **kept)["log"] if "settings that" in line]


def test_a_run_that_goes_on_with_other_settings_and_data_says_so(run, small, tmp_path):
    kept = {"checkpoint_dir": str(tmp_path / "ckpt"), "eval_every": 100}
    run(steps=20, **kept)
    fewer = tmp_path / "fewer"
    shutil.copytree(small, fewer)
    for name in ("images", "labels"):
        np.save(fewer / f"train_{name}.npy", np.load(small / f"train_{name}.npy")[:900])
    other = dataclasses.replace(HPARAMS, learning_rate=0.005)
    metrics = run(hparams=other, train=(str(fewer),), **kept)
    (line,) = [line for line in metrics["log"] if "steps were trained with" in line]
    assert line.startswith(
        "warning: --checkpoint-dir: its 20 steps were trained with --learning-rate 0.01 (now "
        "0.005); a one-cycle schedule over 20 steps (now 40); other training data: npy, 1000 "
        "examples, "
    )
    assert metrics["hparams"]["learning_rate"] == 0.005
    (before,) = metrics["trained_before"]
    assert (before["from_step"], before["hparams"]["learning_rate"]) == (0, 0.01)
    assert before["train"]["examples"] == 1000
    state = json.loads((tmp_path / "ckpt/ckpt-00000040/state.json").read_text())
    assert [stretch["from_step"] for stretch in state["trained"]] == [0, 20]


def test_the_best_checkpoint_is_kept(run, tmp_path):
    metrics = run(checkpoint_dir=str(tmp_path / "ckpt"), eval_every=5, keep=1)
    kept = {int(p.name.removeprefix("ckpt-")) for p in (tmp_path / "ckpt").iterdir()}
    assert kept == {40, metrics["best_step"]}


def test_a_checkpoint_of_another_model_ends_the_run_before_anything_is_written(run, tmp_path):
    run("first", checkpoint_dir=str(tmp_path / "ckpt"))
    with pytest.raises(UserError, match="another model"):
        other = dataclasses.replace(HPARAMS, model="cnn")
        run("second", other, checkpoint_dir=str(tmp_path / "ckpt"))
    assert not (tmp_path / "second").exists()


DIVERGING = """
import keras
from trainer.models.mnist import input_fn, serving_input_fn

def keras_model(hparams):
    image = keras.Input((28, 28, 1), name="image_input")
    hidden = keras.layers.Dense(50)(keras.layers.Flatten()(image))
    return keras.Model(image, keras.layers.Dense(10)(hidden))
"""


def test_a_loss_that_is_not_finite_names_step_and_files_and_saves_nothing(
    run, small, tmp_path, monkeypatch
):
    (tmp_path / "diverging.py").write_text(DIVERGING)
    monkeypatch.chdir(tmp_path)
    wild = dataclasses.replace(HPARAMS, learning_rate=1000.0, optimizer="sgd", schedule="constant")
    kept = {"checkpoint_dir": str(tmp_path / "ckpt"), "checkpoint_every": 1}
    with pytest.raises(UserError) as error:
        run("wild", wild, module="diverging", steps=400, eval_every=400, **kept)
    message = str(error.value)
    assert "the loss is" in message
    assert str(small / "train_images.npy") in message
    assert "records" in message
    assert not (tmp_path / "wild").exists()
    step = int(message.removeprefix("step ").partition(":")[0])
    saved = [int(p.name.removeprefix("ckpt-")) for p in (tmp_path / "ckpt").iterdir()]
    assert max(saved, default=0) == step - 1


def test_a_damaged_record_met_while_streaming_is_named(run, tmp_path):
    create_dataset(source=None, out=tmp_path)
    file = next((tmp_path / "train").iterdir())
    raw = bytearray(file.read_bytes())
    # A pixel of the first record.
    raw[500] ^= 1
    file.write_bytes(raw)
    paths = {"train": (str(file),), "test": (str(tmp_path / "test"),)}
    with pytest.raises(DataError, match=rf"{file.name}: record 0 at offset 0: data checksum"):
        run(cache_mb=0.0, steps=400, **paths)
    metrics = run(cache_mb=0.0, skip_corrupt=1, **paths)
    assert len(metrics["data"]["train"]["damaged"]) == 1
    assert [line for line in metrics["log"] if line.startswith("warning: left out:")]


def test_testing_on_training_data_is_warned_of(run, small):
    files = (str(small / "train_images.npy"), str(small / "train_labels.npy"))
    log = run(train=files, test=files)["log"]
    assert [line for line in log if "the test data is part of the training data" in line]


def test_no_data_is_synthetic_and_says_so(run):
    metrics = run(train=(), steps=3)
    assert metrics["data"]["train"]["kind"] == "synthetic"
    assert [line for line in metrics["log"] if "SYNTHETIC" in line]


NOTEBOOK = """
import sys
from trainer import Hparams, Job, train_and_evaluate

job = Job(
    hparams=Hparams(model="fast"), train=(sys.argv[1],), steps=2, model_dir=sys.argv[2] + "/model"
)
metrics = train_and_evaluate(job)
print("returned", metrics["steps"], metrics["hparams"]["learning_rate"])
"""


def test_a_notebook_passes_the_job_alone_and_sees_the_lines_of_a_run(small, tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", NOTEBOOK, str(small), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert [line for line in lines if line.startswith("step=2 test_accuracy=")]
    assert lines[-1] == "returned 2 0.01"
    assert (tmp_path / "model/1/saved_model.pb").exists()


def test_an_evaluation_that_is_cut_short_is_not_reported(small, tmp_path, monkeypatch):
    evaluated_at, stop = [], []

    class NoteEvaluation(AfterEvaluation):
        def evaluated(self, state, evaluation):
            evaluated_at.append(state.step)

    def stop_at_step_20(record: logging.LogRecord) -> bool:
        # Logged before the evaluation of that step.
        stop.extend([True] * record.getMessage().startswith("step=20 of="))
        return True

    monkeypatch.setattr(progress_line.logger, "filters", [stop_at_step_20])
    fields = {"steps": 40, "log_every": 20, "eval_every": 10, "model_dir": str(tmp_path / "m")}
    metrics = train_and_evaluate(
        Job(hparams=HPARAMS, train=(str(small),), **fields),
        stop_requested=lambda: bool(stop),
        callbacks=[NoteEvaluation()],
    )
    assert (metrics["stopped"], metrics["steps"]) == (True, 20)
    assert evaluated_at == [10]
    # That of step 10 is of another model than the one that is exported.
    assert metrics["test_accuracy"] is None
    assert metrics["best_step"] == 10


OWN = """
import keras, tensorflow as tf

def keras_model(hparams):
    x = keras.Input((4,))
    width = int(dict(hparams.hp)["width"])
    y = keras.layers.Dense(2, activation="softmax")(keras.layers.Dense(width)(x))
    return keras.Model(x, y)

def input_fn(paths, mode, batch_size, shard):
    x = tf.random.stateless_normal((100, 4), [1, 2])
    data = tf.data.Dataset.from_tensor_slices((x, tf.cast(x[:, 0] > 0, tf.int32)))
    return data.repeat().batch(batch_size) if mode == "train" else data.batch(batch_size)

def serving_input_fn(model):
    @tf.function(input_signature=[tf.TensorSpec((None, 4), name="x")])
    def serving_default(x):
        return {"scores": model(x)}
    return {"serving_default": serving_default}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_model.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return dataclasses.replace(HPARAMS, hp=(("width", "8"),), learning_rate=0.05)


def test_a_model_module_of_ones_own_trains_resumes_and_exports(run, own, tmp_path):
    fields = {"module": "own_model", "train": (), "steps": 60}
    metrics = run(hparams=own, **fields)
    assert metrics["test_accuracy"] > 0.9
    served = tf.saved_model.load(metrics["model_path"]).signatures["serving_default"]
    assert served(x=tf.zeros((2, 4)))["scores"].shape == (2, 2)

    kept = {"checkpoint_dir": str(tmp_path / "ckpt"), "checkpoint_every": 30}
    run("first", own, **fields, **kept)
    (tmp_path / "ckpt" / "ckpt-00000060" / "state.json").unlink()
    assert same(metrics, run("second", own, **fields, **kept))


def test_a_module_whose_data_has_no_size_needs_steps(run, own):
    with pytest.raises(UserError, match="--steps: not given"):
        run(hparams=own, module="own_model", train=(), steps=None)


def test_a_run_without_test_data_evaluates_nothing_and_exports_its_last_weights(
    run, small, tmp_path
):
    train = tmp_path / "train"
    train.mkdir()
    for name in ("train_images.npy", "train_labels.npy"):
        shutil.copy(small / name, train)
    logs = str(tmp_path / "logs")
    alone = run("alone", train=(str(train),), eval_every=10, log_dir=logs)
    tested = run("tested", eval_every=10)
    assert "nothing is evaluated, as there is no test data" in "\n".join(alone["log"])
    assert not any("test_accuracy" in line for line in alone["log"])
    assert same(alone, tested)
    assert (alone["test_accuracy"], alone["best_step"], alone["stopped"]) == (None, None, False)
    assert [*alone["data"]] == ["train"]
    assert alone["curves"]["test"]["step"] == []
    assert (tmp_path / "alone" / "report.html").exists()
    streamed = run("streamed", train=(str(train),), cache_mb=0)
    assert (tmp_path / "streamed" / "pictures.json").exists()
    assert streamed["steps"] == 40


def test_a_target_accuracy_without_test_data_is_one_line(run, small):
    with pytest.raises(UserError, match=r"--target-accuracy 0\.9: needs an accuracy"):
        run(train=(str(small / "train_*.npy"),), target_accuracy=0.9)


@pytest.fixture
def with_validation(small, tmp_path):
    """A folder of 1,000 training, 100 validation and 200 test digits."""
    folder = tmp_path / "three"
    shutil.copytree(small, folder)
    images, labels = open_tables([], split="test")[0].read(1024, 1024 + 128)
    np.save(folder / "validation_images.npy", images[:100])
    np.save(folder / "validation_labels.npy", labels[:100])
    return str(folder)


def test_validation_data_is_looked_at_during_the_training_and_test_data_once_at_the_end(
    run, with_validation, tmp_path
):
    metrics = run(train=(with_validation,), eval_every=10, log_dir=str(tmp_path / "logs"))
    lines = [line for line in metrics["log"] if re.match(r"step=\d+ \w+_accuracy=", line)]
    names = [re.sub(r"=[0-9.]+", "", line) for line in lines]
    watched = "step validation_accuracy validation_loss"
    assert names == [watched] * 4 + ["step test_accuracy test_loss"]
    curves = metrics["curves"]
    assert curves["validation"]["step"] == [10, 20, 30, 40]
    assert curves["test"]["step"] == [40]
    assert curves["validation"]["accuracy"][-1] == metrics["validation_accuracy"]
    assert curves["test"]["accuracy"] == [metrics["test_accuracy"]]
    assert metrics["best_validation_accuracy"] == max(curves["validation"]["accuracy"])
    assert metrics["best_test_accuracy"] is None
    assert [metrics["data"][split]["examples"] for split in ("train", "validation", "test")] == [
        1000,
        100,
        200,
    ]
    assert metrics["evaluation"]["split"] == "test"
    assert metrics["evaluation"]["examples"] == 200
    assert "Validation accuracy" in (tmp_path / "run" / "report.html").read_text()
    assert same(metrics, run("plain", eval_every=10))


def test_without_test_data_the_run_says_that_nothing_is_tested_at_the_end(
    run, small, with_validation
):
    train, val = f"{small}/train_*.npy", f"{with_validation}/validation_*.npy"
    metrics = run(train=(train,), validation=(val,), target_accuracy=0.01)
    assert metrics["test_accuracy"] is None
    assert metrics["validation_accuracy"] == metrics["best_validation_accuracy"] > 0.01
    assert "nothing is tested at the end, as there is no test data (--test)" in metrics["log"]
    assert metrics["evaluation"]["split"] == "validation"


def test_a_resumed_run_has_the_validation_curve_whole(run, with_validation, tmp_path):
    settings = {"train": (with_validation,), "eval_every": 10}
    settings |= {"checkpoint_dir": str(tmp_path / "checkpoints")}
    run("b", steps=20, **settings)
    again = run("b", **settings)
    assert again["curves"]["validation"]["step"] == [10, 20, 30, 40]
    assert again["curves"]["test"]["step"] == [40]


# An evaluation of this learning rate is the best after 40 steps, and none is better for long.
STALE = Hparams(model="fast", precision="float32", batch_size=50, learning_rate=0.05)


@pytest.mark.parametrize("validated", [True, False])
def test_a_run_stops_early_and_ends_with_its_best_model(
    run, small, with_validation, tmp_path, validated
):
    train = with_validation if validated else str(small)
    name = "validation" if validated else "test"
    settings = {"train": (train,), "eval_every": 5, "hparams": STALE, "steps": 400}
    early = run("early", early_stop="3", **settings)
    curve = early["curves"][name]
    best, stop = early["best_step"], early["steps"]
    assert early["stopped_early"]
    assert not early["stopped"]
    assert best < stop == curve["step"][-1] == best + 15 < 400
    assert early[f"best_{name}_accuracy"] == max(curve["accuracy"]) == early[f"{name}_accuracy"]
    assert early["evaluation"]["step"] == best
    assert f"step={stop} stopped early: no better {name} accuracy in 3 evaluations" in early["log"]
    if validated:
        assert early["curves"]["test"]["step"] == [best]
    # A run of as many steps as the best one has, by the same schedule, has the same weights.
    settings |= {"checkpoint_dir": str(tmp_path / "best"), "keep": 1000}
    run("whole", **settings)
    loaded = tf.train.load_checkpoint(str(tmp_path / "best" / f"ckpt-{best:08d}" / "variables"))
    kept = [loaded.get_tensor(f"variables/{i}/.ATTRIBUTES/VARIABLE_VALUE") for i in range(4)]
    exported = weights(early)
    assert all(any(np.array_equal(each, other) for other in exported) for each in kept)


def test_a_run_that_goes_on_counts_the_evaluations_before(run, small, tmp_path):
    settings = {"eval_every": 5, "hparams": STALE, "steps": 400, "early_stop": "3"}
    whole = run("whole", **settings)
    folder = tmp_path / "checkpoints"
    settings |= {"checkpoint_dir": str(folder), "keep": 1000}
    run("parts", **settings)
    # As if it had been killed after the second evaluation that is no better.
    last = whole["steps"] - 5
    for path in folder.iterdir():
        if path.name > f"ckpt-{last:08d}":
            shutil.rmtree(path)
    (tmp_path / "parts" / "metrics.json").unlink()
    again = run("parts", **settings)
    assert f"resumed at step={last}" in again["log"]
    assert (again["steps"], again["best_step"]) == (whole["steps"], whole["best_step"])
    assert same(again, whole)


def test_a_run_that_has_stopped_early_is_not_trained_again(run, tmp_path):
    settings = {"eval_every": 5, "hparams": STALE, "steps": 400, "early_stop": "3"}
    settings |= {"checkpoint_dir": str(tmp_path / "checkpoints")}
    first = run("run", **settings)
    again = run("run", **settings)
    assert "nothing new is exported" in "\n".join(again["log"])
    assert again["model_path"] == first["model_path"]
    shutil.rmtree(tmp_path / "run" / "model")
    anew = run("run", **settings)
    assert (anew["steps"], anew["stopped_early"]) == (first["steps"], True)
    assert anew["weights_crc32c"] == first["weights_crc32c"]
    longer = run("run", **(settings | {"early_stop": "1000"}))
    assert (longer["steps"], longer["stopped_early"]) == (400, False)


def test_a_difference_below_the_least_one_does_not_count(run):
    early = run(eval_every=5, steps=400, early_stop="2:2")
    # Nothing is better by more than 2: the first evaluation and two more.
    assert early["steps"] == 15
    assert early["best_step"] in (5, 10, 15)
    best = max(early["curves"]["test"]["accuracy"])
    assert early["test_accuracy"] == best


@pytest.mark.parametrize("cache_mb", [1024, 0])
def test_a_share_of_the_training_data_is_held_out_for_validation(run, small, tmp_path, cache_mb):
    metrics = run(validation_split=0.1, eval_every=20, cache_mb=cache_mb)
    data = metrics["data"]
    counts = [data[split]["examples"] for split in ("train", "validation", "test")]
    assert sum(counts[:2]) == 1000
    assert 95 <= counts[1] <= 105
    assert counts[2] == 200
    assert metrics["curves"]["validation"]["step"] == [20, 40]
    assert metrics["test_accuracy"] > 0.7
    assert not any("part of the training data" in line for line in metrics["log"])
    again = run("again", validation_split=0.1, eval_every=20, cache_mb=cache_mb)
    assert same(metrics, again)
    assert metrics["validation_loss"] == again["validation_loss"]


def test_a_resumed_run_holds_out_the_same_examples(run, tmp_path):
    settings = {"validation_split": 0.2, "eval_every": 10, "steps": 40}
    whole = run("whole", **settings)
    folder = tmp_path / "checkpoints"
    run("parts", **settings, checkpoint_dir=str(folder), keep=1000)
    shutil.rmtree(folder / "ckpt-00000040")
    shutil.rmtree(folder / "ckpt-00000030")
    (tmp_path / "parts" / "metrics.json").unlink()
    again = run("parts", **settings, checkpoint_dir=str(folder))
    assert "resumed at step=20" in again["log"]
    assert same(again, whole)
    assert again["curves"]["validation"]["loss"] == whole["curves"]["validation"]["loss"]


def test_validation_data_cannot_be_held_out_of_a_folder_that_has_some(run, with_validation):
    with pytest.raises(UserError, match=r"--validation-split 0\.1: .* holds validation data"):
        run(train=(with_validation,), validation_split=0.1)
