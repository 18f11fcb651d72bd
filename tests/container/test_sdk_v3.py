"""SageMaker's SDK, version 3, in local mode."""

import json
import re

import pytest


def test_a_model_trainer_without_source_code_trains_the_built_in_model(local, image, tfrecords):
    """It passes no `train`: the image's own command is what runs."""
    job = local.train(
        3, training_image=image, inputs={"train": str(tfrecords)},
        hyperparameters={"model": "fast", "steps": 20, "batch_size": 64},
    )  # fmt: skip
    assert "1/saved_model.pb" in job.servable()
    assert "batch_size=64" in job.log


def test_a_model_trainer_runs_the_users_script(local, image, tmp_path, tfrecords):
    """By its own drivers, which leave the image's entry point out."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(SCRIPT)
    (source / "requirements.txt").write_text("./brought\n")
    package = source / "brought"
    package.mkdir()
    (package / "setup.py").write_text(
        "from setuptools import setup\nsetup(name='brought', version='1', py_modules=['brought'])\n"
    )
    (package / "brought.py").write_text("there = True\n")
    job = local.train(
        3, training_image=image, inputs={"train": str(tfrecords)},
        hyperparameters={"rate": 0.5, "note": "of two words"},
        source_code={
            "source_dir": str(source), "entry_script": "train.py",
            "requirements": "requirements.txt",
        },
        environment={"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"},
    )  # fmt: skip
    assert "7/saved_model.pb" in job.servable()
    (told,) = re.findall(r"arguments (\{.*\})", job.log)
    assert json.loads(told) == {"--note": "of two words", "--rate": "0.5"}


SCRIPT = """
import json, os, sys
import brought, keras

print("arguments", json.dumps(dict(zip(sys.argv[1::2], sys.argv[2::2]))))
assert os.listdir(os.environ["SM_CHANNEL_TRAIN"]), "no data"
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
model.export(os.environ["SM_MODEL_DIR"] + "/7")
"""


def test_a_command_of_the_users_may_be_the_trainer(local, image, tmp_path, tfrecords):
    source = tmp_path / "source"
    source.mkdir()
    (source / "README").write_text("nothing but a command\n")
    job = local.train(
        3, training_image=image, inputs={"train": str(tfrecords)},
        source_code={
            "source_dir": str(source),
            "command": "train --model fast --steps 20",
        },
    )  # fmt: skip
    assert "1/saved_model.pb" in job.servable()


@pytest.mark.parametrize(
    "switch",
    [
        "sagemaker_parameter_server_enabled",
        "sagemaker_mpi_enabled",
        "sagemaker_multi_worker_mirrored_strategy_enabled",
    ],
)
def test_two_hosts_train_one_model(local, image, tfrecords, switch):
    """Hyperparameters do what the SDK has no argument for any more.

    And it announces a network interface that is not there.
    """
    job = local.train(
        3, training_image=image, instance_count=2, inputs={"train": str(tfrecords)},
        hyperparameters={"model": "cnn", "steps": 40, switch: True},
    )  # fmt: skip
    assert "1/saved_model.pb" in job.servable()
    assert "step=40 " in job.log
