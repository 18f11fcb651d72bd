"""Sweeps as their users run them: real trials on the real MNIST."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import TRAINER, environment, trainer

from trainer.sweep import SweepRecord, TrialRecord, read_space
from trainer.sweep.record import write_record

pytestmark = pytest.mark.tensorflow


def sweep(data: Path, out: Path, *extra: str) -> list[str]:
    return [
        *("sweep", "--out", str(out), "--jobs", "2", "--model", "fast", "--train", str(data)),
        *("--learning-rate", "0.001..0.1:log", *extra),
    ]


def test_a_sweep_runs_its_trials_and_goes_on_where_it_ended(mnist_dir: Path, tmp_path: Path):
    first = trainer(*sweep(mnist_dir, tmp_path, "--steps", "5", "--trials", "2"))
    assert first.returncode == 0, first.stderr
    again = trainer(*sweep(mnist_dir, tmp_path, "--steps", "5", "--trials", "3"))
    assert again.returncode == 0, again.stderr
    report = json.loads((tmp_path / "sweep.json").read_text())
    assert [each["trial"] for each in report["trials"]] == [0, 1, 2]
    assert report["command"] in again.stdout
    for each in report["trials"]:
        metrics = json.loads((tmp_path / f"trial-{each['trial']}/metrics.json").read_text())
        assert each["value"] in (metrics["test_accuracy"], None)


PRICE = """
import keras
import numpy as np

TASK = "regression"
RECIPE = {"batch_size": 32, "steps": 20}
HPARAMS = {"rate_of_mine": {"default": 0.01, "low": 0.0001, "high": 1}}


def keras_model(hparams):
    size = keras.Input((3,), name="size")
    return keras.Model(size, keras.layers.Dense(1, name="price")(size))


def input_fn(paths, mode, batch_size, shard):
    rows = np.random.default_rng(mode == "train").normal(size=(320, 3)).astype("float32")
    return rows, rows @ np.float32([1, 2, 3])


def optimizer(hparams):
    return keras.optimizers.SGD(hparams.rate_of_mine)


def metrics():
    return {"r2": keras.metrics.R2Score()}
"""


def test_a_model_of_ones_own_is_searched_by_its_own_metric_and_hyperparameters(tmp_path: Path):
    module, out = tmp_path / "price.py", tmp_path / "out"
    module.write_text(PRICE)
    argv = ["sweep", "--out", str(out), "--trials", "3", "--module", str(module)]
    ran = trainer(*argv, "--rate-of-mine", "0.001..0.5:log", "--metric", "r2:max")
    assert ran.returncode == 0, ran.stderr
    report = json.loads((out / "sweep.json").read_text())
    for each in report["trials"]:
        metrics = json.loads((out / f"trial-{each['trial']}/metrics.json").read_text())
        assert each["value"] == metrics["test_metrics"]["r2"]
        assert each["curve"][-1] == round(each["value"], 4)
        assert dict(metrics["hparams"]["hp"]) == {
            "rate_of_mine": str(each["values"]["rate_of_mine"])
        }
    best = max(report["trials"], key=lambda each: each["value"])
    assert (report["best"], report["metric"]) == (best["trial"], "test_r2")
    assert f"best={best['value']:.4f}" in ran.stderr
    # Without the flag there is nothing to compare by.
    other = [*argv[:2], str(tmp_path / "other"), *argv[3:], "--rate-of-mine", "0.1,0.2"]
    ran = trainer(*other, "--trials", "1")
    assert ran.returncode == 1
    assert "its evaluation has no accuracy, by which trials are compared; --metric" in ran.stderr


def test_a_trial_that_falls_behind_is_ended_and_marked(mnist_dir: Path, tmp_path: Path):
    flags = {"model": "fast", "learning_rate": "0.001..0.1:log", "steps": "1000000"}
    space = read_space({**flags, "eval_every": "5", "train": [str(mnist_dir)]})
    # No trial can be better than these.
    trials = [
        TrialRecord(
            trial=number, state="complete", value=1.0, curve=[1.0] * 100,
            values={"learning_rate": 0.001 * (number + 1)},
        )
        for number in range(5)
    ]  # fmt: skip
    write_record(tmp_path, SweepRecord(space=space, trials=trials))
    argv = sweep(mnist_dir, tmp_path, "--steps", "1000000", "--eval-every", "5", "--trials", "6")
    ran = trainer(*argv)
    assert ran.returncode == 0, ran.stderr
    last = json.loads((tmp_path / "sweep.json").read_text())["trials"][5]
    assert (last["state"], last["value"]) == ("pruned", None)
    assert last["curve"] and max(last["curve"]) < 1.0
    assert "SIGTERM" in (tmp_path / "trial-5/log.txt").read_text()
    assert f"trial=5 pruned test_accuracy={last['curve'][-1]:.4f} best=1.0000" in ran.stderr
    row = next(line for line in ran.stdout.splitlines() if " pruned " in line)
    assert row.split()[:3] == ["5", "pruned", f"{last['curve'][-1]:.4f}"]
    assert "Train with the best values" in (tmp_path / "sweep.html").read_text()


def test_a_trial_is_not_ended_early_by_the_evaluation_of_its_last_step(
    mnist_dir: Path, tmp_path: Path
):
    flags = {"model": "fast", "learning_rate": "0.001..0.1:log", "steps": "5"}
    space = read_space({**flags, "train": [str(mnist_dir)]})
    trials = [
        TrialRecord(
            trial=number, state="complete", value=1.0, curve=[1.0],
            values={"learning_rate": 0.001 * (number + 1)},
        )
        for number in range(5)
    ]  # fmt: skip
    write_record(tmp_path, SweepRecord(space=space, trials=trials))
    ran = trainer(*sweep(mnist_dir, tmp_path, "--steps", "5", "--trials", "6"))
    assert ran.returncode == 0, ran.stderr
    last = json.loads((tmp_path / "sweep.json").read_text())["trials"][5]
    metrics = json.loads((tmp_path / "trial-5/metrics.json").read_text())
    assert (last["state"], last["value"]) == ("complete", metrics["test_accuracy"])
    assert last["curve"] and max(last["curve"]) < 1.0


def test_after_the_timeout_trials_are_ended_and_tried_again(mnist_dir: Path, tmp_path: Path):
    ran = trainer(*sweep(mnist_dir, tmp_path, "--steps", "5", "--trials", "2", "--timeout", "0.5"))
    assert ran.returncode == 1, ran.stderr
    before = json.loads((tmp_path / "sweep.json").read_text())["trials"]
    assert {each["state"] for each in before} == {"stopped"}
    ran = trainer(*sweep(mnist_dir, tmp_path, "--steps", "5", "--trials", "2"))
    assert ran.returncode == 0, ran.stderr
    after = json.loads((tmp_path / "sweep.json").read_text())["trials"][len(before) :]
    assert [each["state"] for each in after] == ["complete", "complete"]
    assert {each["values"]["learning_rate"] for each in before} <= {
        each["values"]["learning_rate"] for each in after
    }


def trials_below(folder: Path) -> list[int]:
    listed = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True, check=True)
    lines = [line for line in listed.stdout.splitlines() if f"{folder}/trial-" in line]
    return [int(line.split()[0]) for line in lines]


@contextlib.contextmanager
def running_sweep(data: Path, out: Path) -> Iterator[subprocess.Popen]:
    """A sweep with two trials that would run for long."""
    argv = [*TRAINER, *sweep(data, out, "--steps", "1000000", "--trials", "2")]
    with subprocess.Popen(argv, env=environment(), stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while len(trials_below(out)) < 2:
            assert time.monotonic() < deadline
            assert process.poll() is None
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_trials(mnist_dir: Path, tmp_path: Path, number: signal.Signals):
    with running_sweep(mnist_dir, tmp_path) as process:
        process.send_signal(number)
        assert process.wait(timeout=60) == 128 + number
    assert trials_below(tmp_path) == []


def test_a_second_signal_kills_trials_that_do_not_end(mnist_dir: Path, tmp_path: Path):
    with running_sweep(mnist_dir, tmp_path) as process:
        for pid in trials_below(tmp_path):
            os.kill(pid, signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        # Less than the time that trials have after one signal.
        process.wait(timeout=15)
    assert trials_below(tmp_path) == []


def test_trials_end_with_a_sweep_that_is_killed(mnist_dir: Path, tmp_path: Path):
    with running_sweep(mnist_dir, tmp_path) as process:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 60
    while trials_below(tmp_path):
        assert time.monotonic() < deadline


def test_a_second_sweep_in_a_folder_is_refused(mnist_dir: Path, tmp_path: Path):
    with running_sweep(mnist_dir, tmp_path) as process:
        ran = trainer(*sweep(mnist_dir, tmp_path, "--steps", "1000000", "--trials", "2"))
        process.send_signal(signal.SIGTERM)
    assert ran.returncode == 2
    assert len(ran.stderr.strip().splitlines()) == 1
    assert f"--out {tmp_path}" in ran.stderr
