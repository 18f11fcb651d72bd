"""Sweeps as their users run them: real trials on the real MNIST."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from processes import TRAINER, environment, trainer

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
        assert each["test_accuracy"] in (metrics["test_accuracy"], None)


def test_sigterm_ends_all_trials(mnist_dir: Path, tmp_path: Path):
    argv = sweep(mnist_dir, tmp_path, "--steps", "1000000", "--trials", "2")
    with subprocess.Popen(
        [*TRAINER, *argv], env=environment(), stderr=subprocess.DEVNULL
    ) as process:
        logs = [tmp_path / "trial-0/log.txt", tmp_path / "trial-1/log.txt"]
        deadline = time.monotonic() + 120
        while not all(log.exists() for log in logs):
            assert time.monotonic() < deadline
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path / "trial-") not in listed.stdout
