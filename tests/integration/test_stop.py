"""Told to stop in mid-training, by real signals, and started again."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import TRAINER, signal_at, trainer, weights

STEPS = 200


def job(data: Path, folder: Path, *extra: str) -> list[str]:
    return [
        *("train", "--model", "cnn", "--train", str(data), "--batch-size", "32"),
        *("--steps", str(STEPS), "--eval-every", "100", "--log-every", "5"),
        *("--model-dir", str(folder / "model"), "--checkpoint-dir", str(folder / "ckpt"), *extra),
    ]


def test_a_stopped_run_saves_what_it_has_and_goes_on_from_there(tfrecords: Path, tmp_path: Path):
    whole = trainer(*job(tfrecords, tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    stopped, log = signal_at(
        [*TRAINER, *job(tfrecords, tmp_path / "run")], "step=50 ", signal.SIGTERM
    )
    # The code of a process that SIGTERM ended: whoever counts on a finished model starts it again.
    assert stopped == 143
    at = next(line for line in log if line.startswith("stopped at step="))
    step = int(at.split()[2].removeprefix("step="))
    assert 50 <= step < STEPS
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["stopped"], metrics["steps"]) == (True, step)
    assert (tmp_path / "run" / "model" / "1" / "saved_model.pb").exists()

    again = trainer(*job(tfrecords, tmp_path / "run"))
    assert again.returncode == 0, again.stderr
    assert f"resumed at step={step}" in again.stdout
    assert weights(tmp_path / "run" / "model", 2) == weights(tmp_path / "whole" / "model")


def test_a_second_signal_ends_the_run_at_once(tfrecords: Path, tmp_path: Path):
    code, log = signal_at(
        [*TRAINER, *job(tfrecords, tmp_path)],
        "step=50 ",
        signal.SIGTERM,
        again_at="warning: SIGTERM",
    )
    assert code == 143
    assert "again to stop at once" in " ".join(log)
    assert not (tmp_path / "metrics.json").exists()


def test_a_run_stopped_before_its_first_step_writes_nothing(tfrecords: Path, tmp_path: Path):
    code, log = signal_at([*TRAINER, *job(tfrecords, tmp_path)], "training data:", signal.SIGTERM)
    assert code == 143
    # The first call may already have been under way.
    if "stopped at step=0" in " ".join(log):
        assert not list((tmp_path / "model").iterdir())


def test_on_sagemaker_a_stopped_run_has_succeeded(tfrecords: Path, tmp_path: Path):
    env = {
        "SM_MODEL_DIR": str(tmp_path / "model"),
        "SM_OUTPUT_DATA_DIR": str(tmp_path / "output"),
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
        "SM_CHANNEL_TRAIN": str(tfrecords / "train"),
        "SM_CHANNEL_TEST": str(tfrecords / "test"),
        "SM_HPS": json.dumps({"steps": "10000", "batch-size": 32, "model": "cnn", "log_every": 5}),
        "SAGEMAKER_BASE_DIR": str(tmp_path),
    }
    code, _ = signal_at([*TRAINER, "train"], "step=50 ", signal.SIGTERM, env=env)
    assert code == 0
    assert (tmp_path / "model" / "1" / "saved_model.pb").exists()
    assert json.loads((tmp_path / "output" / "metrics.json").read_text())["stopped"] is True


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for half a model."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False, timeout=30)
    if mounted.returncode:
        pytest.skip(f"needs root to mount a tmpfs: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=30)


def test_a_full_disk_never_ends_as_success(tfrecords: Path, full_disk: Path):
    argv = ["train", "--train", str(tfrecords), "--steps", "2"]
    ran = trainer(*argv, "--model-dir", str(full_disk / "model"))
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("\n") == 1
    error = f"trainer: failed: {full_disk}/model/1: No space left on device; make room"
    assert ran.stderr.startswith(error)
    assert list((full_disk / "model").iterdir()) == []
    assert not (full_disk / "metrics.json").exists()
