"""Modules of users' own under every strategy: two inputs, and a regression with weights.

Each run is compared with that of one process. Synchronous strategies share every batch, so that
their result is the same but for the order of sums; workers of parameter servers do not wait for
each other, so that theirs is only as good.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from processes import environment, needs_horovod, run, trainer

TWO_INPUTS = """
import keras, numpy as np, tensorflow as tf
RECIPE = {"batch_size": 16, "learning_rate": 0.05, "steps": 40}

def keras_model(hparams):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    x = keras.layers.Dense(16, "relu")(keras.layers.Concatenate()([a, b]))
    return keras.Model({"a": a, "b": b}, keras.layers.Dense(2, dtype="float32")(x))

def input_fn(paths, mode, batch_size, shard):
    x = np.random.default_rng(mode == "test").normal(size=(480, 5)).astype("float32")
    features = {"a": x[:, :2], "b": x[:, 2:]}
    data = tf.data.Dataset.from_tensor_slices((features, (x.sum(1) > 0).astype("int32")))
    data = data.shard(shard.count, shard.index)
    return (data.repeat() if mode == "train" else data).batch(batch_size)
"""
REGRESSION = """
import keras, numpy as np, tensorflow as tf
TASK = "regression"
RECIPE = {"batch_size": 16, "learning_rate": 0.2, "steps": 80}

def keras_model(hparams):
    i = keras.Input((4,), name="x")
    return keras.Model(i, keras.layers.Dense(1, dtype="float32")(i))

def input_fn(paths, mode, batch_size, shard):
    rng = np.random.default_rng(mode == "test")
    x = rng.normal(size=(480, 4)).astype("float32")
    y, weights = x @ np.float32([1, 2, 3, 4]), rng.uniform(0.5, 1.5, 480).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, y, weights)).shard(shard.count, shard.index)
    return (data.repeat() if mode == "train" else data).batch(batch_size)

def metrics():
    return {"rmse": keras.metrics.RootMeanSquaredError(), "r2": keras.metrics.R2Score()}
"""
MODULES = {"two_inputs": TWO_INPUTS, "regression": REGRESSION}
PROCESSES = {
    "mirrored": 1,
    "multi_worker_mirrored": 2,
    "horovod": 2,
    "parameter_server": 2,
}


def train(folder: Path, name: str, *argv: str) -> dict:
    path = folder / f"{name}.py"
    path.write_text(MODULES[name])
    job = folder / "job"
    ran = trainer("train", "--module", str(path), "--precision", "float32", "--job-dir", str(job),
                  *argv)  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    metrics: dict = json.loads((job / "metrics.json").read_text())
    return metrics


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """The metrics of each module, trained in one process."""
    return {name: train(tmp_path_factory.mktemp(name), name) for name in MODULES}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize(
    "strategy",
    [pytest.param(s, marks=[needs_horovod] if s == "horovod" else []) for s in PROCESSES],
)
def test_a_module_trains_under_every_strategy_as_in_one_process(
    alone: dict[str, dict], tmp_path: Path, strategy: str, name: str
):
    argv = ["--distribution", strategy]
    if PROCESSES[strategy] > 1:
        argv += ["--processes-per-host", str(PROCESSES[strategy])]
    found, expected = train(tmp_path, name, *argv), alone[name]
    assert found["distribution"] == strategy
    assert found["metric"] == expected["metric"]
    assert found["test_metrics"].keys() == expected["test_metrics"].keys()
    # Asynchronous workers end near by; the others differ by the order in which they sum.
    near = 0.5 if strategy == "parameter_server" else 1e-3
    for key, value in expected["test_metrics"].items():
        assert found["test_metrics"][key] == pytest.approx(value, rel=near, abs=near), key
    loaded = tf.saved_model.load(str(tmp_path / "job/model/1"))
    signature = loaded.signatures["serving_default"]
    if name == "two_inputs":
        answer = signature(a=tf.zeros((4, 2)), b=tf.ones((4, 3)))["probabilities"]
        assert answer.shape == (4, 2)
        np.testing.assert_allclose(np.sum(answer, 1), 1, atol=1e-5)
    else:
        (answer,) = signature(x=tf.ones((4, 4))).values()
        assert answer.shape == (4, 1)


def test_the_modules_learn_what_they_are_given(alone: dict[str, dict]):
    assert alone["two_inputs"]["test_accuracy"] > 0.9
    assert alone["regression"]["test_metrics"]["r2"] > 0.9
    assert alone["regression"]["test_accuracy"] is None
    assert alone["regression"]["metric"] == "loss:min"


TWO_REPLICAS = """
import sys
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from trainer.config import Hparams, Job
from trainer.distribution.mirrored_tf import MirroredStrategy
from trainer.runtime import log
from trainer.training.loop import train_and_evaluate

module, folder = sys.argv[1:]
log.begin("ERROR")
both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
strategy = MirroredStrategy(both, rank=0, processes=1, presum=False)
job = Job(
    hparams=Hparams(precision="float32"), module=module, distribution="mirrored",
    model_dir=f"{folder}/model", eval_batch_size=77,
)
train_and_evaluate(job, strategy=strategy)
"""


@pytest.mark.parametrize("name", MODULES)
def test_a_module_trains_on_two_replicas_in_one_process(
    alone: dict[str, dict], tmp_path: Path, name: str
):
    path = tmp_path / f"{name}.py"
    path.write_text(MODULES[name])
    argv = [sys.executable, "-c", TWO_REPLICAS, str(path), str(tmp_path)]
    ran = run(argv, env=environment())
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["replicas"] == 2
    # 480 examples in batches of 77 do not divide by two: each is counted once nevertheless.
    for key, value in alone[name]["test_metrics"].items():
        assert found["test_metrics"][key] == pytest.approx(value, rel=1e-3, abs=1e-3), key
