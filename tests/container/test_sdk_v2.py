"""SageMaker's SDK, version 2, in local mode: what most notebooks still use."""

import json
import re

import pytest

SMALL = {"model": "fast", "steps": 20}
SERVABLE = re.compile(r"(\d+)/saved_model\.pb")


def versions(files: list[str]) -> list[str]:
    """The numeric folders that hold a SavedModel."""
    return [match[1] for file in files if (match := SERVABLE.fullmatch(file))]


def test_an_estimator_trains_the_built_in_model(local, image, tfrecords):
    job = local.train(
        2, kind="Estimator", image_uri=image, instance_count=1, inputs={"train": str(tfrecords)},
        hyperparameters={**SMALL, "batch-size": 64},
    )  # fmt: skip
    assert versions(job.servable()) == ["1"]
    assert "batch_size=64" in job.log


def test_a_tensorflow_estimator_runs_the_users_script(local, image, tmp_path, tfrecords):
    """Script mode: what it needs is installed, hyperparameters arrive as they were given."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(SCRIPT)
    job = local.train(
        2, kind="TensorFlow", image_uri=image, instance_count=1, inputs={"train": str(tfrecords)},
        entry_point="train.py", source_dir=str(source),
        hyperparameters={"note": "it's $(touch x) \"here\"", "rate": 0.5},
    )  # fmt: skip
    assert versions(job.servable()) == ["7"]
    (told,) = re.findall(r"arguments (\{.*\})", job.log)
    told = json.loads(told)
    assert told["--note"] == 'it\'s $(touch x) "here"'
    assert told["--rate"] == "0.5"
    assert told["--model_dir"].endswith("/model")


SCRIPT = """
import json, os, sys
import keras

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print("arguments", json.dumps(arguments))
assert os.listdir(os.environ["SM_CHANNEL_TRAIN"]), "no data"
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
model.export(os.environ["SM_MODEL_DIR"] + "/7")
"""


def test_a_script_that_fails_fails_the_job_with_its_own_words(local, image, tmp_path, tfrecords):
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("raise ValueError('bad label 11')\n")
    job = local.train(
        2, kind="TensorFlow", image_uri=image, instance_count=1, inputs={"train": str(tfrecords)},
        entry_point="train.py", source_dir=str(source),
    )  # fmt: skip
    assert job.code
    assert job.failure().startswith("ValueError: bad label 11")


@pytest.mark.parametrize(
    "distribution",
    [
        {"parameter_server": {"enabled": True}},
        {"mpi": {"enabled": True, "processes_per_host": 1}},
        {"multi_worker_mirrored_strategy": {"enabled": True}},
    ],
    ids=["parameter servers", "Horovod", "MultiWorkerMirrored"],
)
def test_two_hosts_train_one_model(local, image, tfrecords, distribution):
    """By the switches that the SDK's estimator makes of its `distribution`."""
    switches = {
        "parameter_server": {"sagemaker_parameter_server_enabled": True},
        "mpi": {"sagemaker_mpi_enabled": True, "sagemaker_mpi_num_of_processes_per_host": 1},
        "multi_worker_mirrored_strategy": {
            "sagemaker_multi_worker_mirrored_strategy_enabled": True
        },
    }
    (name,) = distribution
    job = local.train(
        2, kind="Estimator", image_uri=image, instance_count=2, inputs={"train": str(tfrecords)},
        hyperparameters={"model": "cnn", "steps": 40, **switches[name]},
    )  # fmt: skip
    assert versions(job.servable()) == ["1"]
    assert "step=40 " in job.log


def test_a_users_script_runs_on_two_hosts_under_mpirun(local, image, tmp_path, tfrecords):
    """Script mode with Horovod's Keras API, the weights equal though each rank has its own data."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(RANKS)
    job = local.train(
        2, kind="TensorFlow", image_uri=image, instance_count=2, inputs={"train": str(tfrecords)},
        entry_point="train.py", source_dir=str(source),
        distribution={"mpi": {"enabled": True, "processes_per_host": 2}},
    )  # fmt: skip
    assert versions(job.servable()) == ["1"]
    ranks = dict(re.findall(r"rank (\d) of 4 weights ([0-9a-f]{16})", job.log))
    assert sorted(ranks) == ["0", "1", "2", "3"]
    assert len(set(ranks.values())) == 1


RANKS = """
import hashlib, os, sys
import numpy as np
import keras
import horovod.tensorflow.keras as hvd

hvd.init()
keras.utils.set_random_seed(hvd.rank())
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
model.compile(hvd.DistributedOptimizer(keras.optimizers.Adam(0.01)), "mse")
rng = np.random.default_rng(hvd.rank())
model.fit(
    rng.normal(size=(64, 4)), rng.normal(size=(64, 2)), verbose=0,
    callbacks=[hvd.callbacks.BroadcastGlobalVariablesCallback(0)],
)
weights = b"".join(weight.tobytes() for weight in model.get_weights())
digest = hashlib.sha256(weights).hexdigest()[:16]
sys.stdout.write(f"rank {hvd.rank()} of {hvd.size()} weights {digest}\\n")
if hvd.rank() == 0:
    model.export(os.environ["SM_MODEL_DIR"] + "/1")
"""
