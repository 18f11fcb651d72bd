"""A module's own optimizer and Keras callbacks in a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainer.config import Hparams, Job, UserError
from trainer.training.loop import train_and_evaluate

pytestmark = pytest.mark.tensorflow

MODULE = """
import json, pathlib
import keras, numpy as np, tensorflow as tf
NOTES = pathlib.Path("notes.jsonl")

def keras_model(hparams):
    i = keras.Input((4,), name="x")
    return keras.Model(i, keras.layers.Dense(2)(i))

def input_fn(paths, mode, batch_size, shard):
    x = np.random.default_rng(mode == "test").normal(size=(80, 4)).astype("float32")
    return x, (x.sum(1) > 0).astype("int32")

def optimizer(hparams, steps):
    return keras.optimizers.SGD(keras.optimizers.schedules.PolynomialDecay(0.5, steps, 0.25))

class Note(keras.callbacks.Callback):
    def note(self, *words):
        with NOTES.open("a") as file:
            file.write(json.dumps(words) + "\\n")
    def on_train_begin(self, logs=None):
        self.note("begin", self.params["epochs"], self.params["steps"])
    def on_epoch_end(self, epoch, logs=None):
        self.note("epoch", epoch, sorted(logs))
        self.model.stop_training = epoch == STOP
    def on_train_end(self, logs=None):
        self.note("end")

def callbacks():
    return [Note()]
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])

    def train(text: str, *, name: str) -> dict:
        (tmp_path / f"{name}.py").write_text(text)
        hparams = Hparams(batch_size=8, precision="float32")
        job = Job(module=f"{name}.py", epochs=4, model_dir="out/model", hparams=hparams)
        return train_and_evaluate(job)

    return train


def notes(folder: Path) -> list:
    return [json.loads(line) for line in (folder / "notes.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("stop", "epochs"), [(-1, 4), (1, 2)])
def test_callbacks_are_called_at_epochs_and_may_end_the_run(run, tmp_path, stop, epochs):
    metrics = run(MODULE + f"STOP = {stop}\n", name=f"noting_{epochs}")
    assert (metrics["steps"], metrics["stopped"]) == (10 * epochs, False)
    keys = ["accuracy", "loss", "val_accuracy", "val_loss"]
    middle = [["epoch", number, keys] for number in range(epochs)]
    assert notes(tmp_path) == [["begin", 4, 10], *middle, ["end"]]


def test_an_optimizer_of_the_modules_own_knows_the_steps(run):
    metrics = run(MODULE + "STOP = -1\n", name="own_rate")
    # From 0.5 to 0.25 in a straight line, over all 40 steps.
    assert metrics["curves"]["train"]["learning_rate"][-1] == pytest.approx(0.25)


METRICS = """
STOP = -1
def metrics():
    return {"right": Right()}
class Right(keras.metrics.Metric):
    def __init__(self):
        super().__init__()
        self.sum = self.add_weight(initializer="zeros")
    def update_state(self, labels, outputs, sample_weight=None):
        hits = keras.ops.equal(keras.ops.argmax(outputs, -1), keras.ops.cast(labels, "int64"))
        self.sum.assign_add(keras.ops.sum(keras.ops.cast(hits, "float32")))
    def result(self):
        return self.sum
"""


def test_the_metrics_of_a_module_have_curves_and_a_chart_each(run, tmp_path):
    metrics = run(MODULE + METRICS, name="counting")
    curve = metrics["curves"]["test"]
    assert curve["step"] == [10, 20, 30, 40]
    assert curve["metrics"]["right"] == [80 * share for share in curve["accuracy"]]
    assert curve["metrics"]["right"][-1] == metrics["test_metrics"]["right"]
    page = (tmp_path / "out/report.html").read_text()
    assert '"chart-metric-0"' in page and '"Right"' in page


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("def optimizer(hparams): return 'adam'", "optimizer of {}.py: returned 'adam'; return a"),
        (
            "class S(keras.optimizers.schedules.LearningRateSchedule):\n"
            "    __call__ = lambda self, step: 'a'\n"
            "def optimizer(hparams): return keras.optimizers.SGD(S())",
            "optimizer of {}.py: its learning rate is no number: ValueError: could not convert",
        ),
        ("def callbacks(): return [3]", "callbacks of {}.py: returned [3]; return a list of keras"),
        ("def callbacks(): return Note()", "callbacks of {}.py: returned <"),
        (
            "import sys; Note.on_epoch_end = lambda *_: sys.exit(0)",
            "callbacks of {}.py: on_epoch_end of Note: it ends the program by sys.exit(0) (",
        ),
        ("NOTES = None", "callbacks of {}.py: on_train_begin of Note: AttributeError: 'NoneType'"),
    ],
)
def test_mistakes_of_them_are_one_line(run, more, expected):
    name = f"wrong_{abs(hash(more))}"
    with pytest.raises(UserError) as error:
        run(f"{MODULE}STOP = -1\n{more}\n", name=name)
    assert expected.format(name) in str(error.value)
    assert "\n" not in str(error.value)
