"""Validation and test data of real runs: of several processes, of SageMaker, killed and resumed."""

import json
import re
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import (
    TRAINER,
    environment,
    needs_horovod,
    run as run_program,
    signal_at,
    trainer,
    weights,
)

from trainer.data.files import open_tables

SAGEMAKER = [
    sys.executable,
    "-u",
    str(Path(__file__).parents[2] / "entrypoints/sagemaker"),
    "train",
]
COUNTS = {"train": 640, "validation": 128, "test": 192}
FLAGS = (
    *("--model", "fast", "--dropout", "0", "--precision", "float32", "--threads", "1"),
    *("--batch-size", "64", "--eval-every", "5"),
)
# A learning rate with which the accuracy soon gets no better.
STALE = ("--learning-rate", "0.05", "--steps", "400", "--early-stop", "3")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each split."""
    top, first = tmp_path_factory.mktemp("data"), 0
    for split, count in COUNTS.items():
        images, labels = open_tables([], split="train")[0].read(first, first + count)
        (top / split).mkdir()
        np.save(top / split / "images.npy", images)
        np.save(top / split / "labels.npy", labels)
        first += count
    return top


def report(folder: Path) -> dict:
    found: dict = json.loads((folder / "metrics.json").read_text())
    return found


def evaluated(text: str) -> list[str]:
    """The names in the lines of evaluations, in order."""
    return re.findall(r"step=\d+ (\w+)_accuracy=", text)


def run(folder: Path, *flags: str) -> tuple[dict, str]:
    done = trainer("train", *FLAGS, *flags, "--model-dir", str(folder / "model"))
    assert done.returncode == 0, done.stdout + done.stderr
    return report(folder), done.stdout


@pytest.mark.parametrize(
    "way",
    [
        "multi_worker_mirrored",
        pytest.param("horovod", marks=needs_horovod),
    ],
)
def test_two_processes_look_at_the_same_data_as_one(way: str, data: Path, tmp_path: Path):
    flags = ("--train", str(data), "--validation-split", "0.1", "--steps", "10")
    flags = ("--train", str(data / "train"), "--test", str(data / "test"), *flags[2:])
    one, _ = run(tmp_path / "one", *flags)
    two, text = run(tmp_path / "two", *flags, "--distribution", way, "--processes-per-host", "2")
    assert evaluated(text) == ["validation", "validation", "test"]
    for split in ("train", "validation", "test"):
        assert two["data"][split]["examples"] == one["data"][split]["examples"]
    assert two["data"]["train"]["examples"] + two["data"]["validation"]["examples"] == 640
    for name in ("validation_accuracy", "test_accuracy"):
        assert two[name] == pytest.approx(one[name], abs=0.02)
    assert len(set(two["weights_crc32c"])) == 1


def test_workers_of_parameter_servers_train_on_what_is_not_held_out(data: Path, tmp_path: Path):
    train, test = ("--train", str(data / "train")), ("--test", str(data / "test"))
    flags = (*train, *test, "--validation-split", "0.1", "--image-size", "20,20", "--steps", "20")
    one, _ = run(tmp_path / "one", *flags)
    way = ("--distribution", "parameter_server", "--processes-per-host", "2")
    two, text = run(tmp_path / "two", *flags, *way)
    assert evaluated(text)[-2:] == ["validation", "test"]
    for split in ("train", "validation", "test"):
        assert two["data"][split]["examples"] == one["data"][split]["examples"]
    assert two["hparams"]["input_shape"] == [20, 20, 1]
    assert two["data"]["train"]["examples"] + two["data"]["validation"]["examples"] == 640


def test_two_processes_stop_early_together_with_the_weights_of_the_best(data: Path, tmp_path: Path):
    way = ("--distribution", "multi_worker_mirrored", "--processes-per-host", "2")
    found, text = run(tmp_path, "--train", str(data), *STALE, *way)
    best, stop = found["best_step"], found["steps"]
    assert found["stopped_early"]
    assert stop == best + 15 < 400
    assert f"step={stop} stopped early: no better validation accuracy in 3 evaluations" in text
    assert f"step={best} test_accuracy=" in text
    assert found["validation_accuracy"] == found["best_validation_accuracy"]
    digests = found["weights_crc32c"]
    assert len(digests) == 2
    assert len(set(digests)) == 1


def test_a_killed_run_that_goes_on_stops_early_where_one_never_killed_does(
    data: Path, tmp_path: Path
):
    flags = ("--train", str(data), *STALE, "--keep", "1000")
    whole, _ = run(tmp_path / "whole", *flags)
    folder = tmp_path / "killed"
    flags += ("--checkpoint-dir", str(folder / "checkpoints"))
    command = [*TRAINER, "train", *FLAGS, *flags, "--model-dir", str(folder / "model")]
    last = whole["steps"] - 5
    code, _ = signal_at(command, f"step={last} validation_accuracy=", signal.SIGKILL)
    assert code == -signal.SIGKILL
    again, text = run(folder, *flags)
    assert re.search(r"resumed at step=\d+", text)
    assert (again["steps"], again["best_step"]) == (whole["steps"], whole["best_step"])
    assert again["weights_crc32c"] == whole["weights_crc32c"]
    assert weights(folder / "model") == weights(tmp_path / "whole" / "model")


@pytest.mark.parametrize(
    ("channels", "names"),
    [
        (("train",), []),
        (("train", "validation"), ["validation"] * 2),
        (("train", "validation", "test"), ["validation", "validation", "test"]),
        (("train", "test"), ["test"] * 2),
    ],
)
def test_channels_of_sagemaker_are_used_for_what_they_are(
    data: Path, tmp_path: Path, channels: tuple[str, ...], names: list[str]
):
    base = tmp_path / "ml"
    for name in ("input/config", "input/data", "model", "output"):
        (base / name).mkdir(parents=True)
    for channel in channels:
        shutil.copytree(data / channel, base / "input/data" / channel)
    config = base / "input/config"
    hparams = {"model": "fast", "steps": "4", "eval_every": "2", "batch_size": "64"}
    (config / "hyperparameters.json").write_text(json.dumps(hparams))
    (config / "inputdataconfig.json").write_text(json.dumps({name: {} for name in channels}))
    hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "ethwe"}
    (config / "resourceconfig.json").write_text(json.dumps(hosts))
    env = {"SAGEMAKER_BASE_DIR": str(base), "TRAINING_JOB_NAME": "a-job"}
    done = run_program(SAGEMAKER, env=environment(env))
    assert done.returncode == 0, done.stdout + done.stderr
    assert evaluated(done.stdout) == names
    found = report(base / "output/data")
    assert {split: each["examples"] for split, each in found["data"].items()} == {
        channel: COUNTS[channel] for channel in channels
    }
    assert ("nothing is evaluated" in done.stdout) == (channels == ("train",))
    assert list((base / "model").rglob("saved_model.pb"))
