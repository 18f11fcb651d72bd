"""Real processes, really killed."""

import json
import signal
from pathlib import Path

import pytest
from processes import TRAINER, environment, run, signal_at, weights

STEPS = 200


def command(data: Path, folder: Path, *extra: str) -> list[str]:
    return [
        *(*TRAINER, "train", "--model", "cnn"),
        *("--train", str(data), "--batch-size", "32", "--steps", str(STEPS), "--eval-every", "100"),
        *("--log-every", "5", "--steps-per-call", "5"),
        *("--model-dir", str(folder / "model"), *extra),
    ]


def finish(argv: list[str]) -> list[str]:
    ran = run(argv, env=environment())
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def curves(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Return the learning curves in a run's report, without times."""
    found = json.loads((folder / "metrics.json").read_text())["curves"]
    timeless = ("step", "loss", "accuracy", "learning_rate")
    return {
        split: {name: column for name, column in curve.items() if name in timeless}
        for split, curve in found.items()
    }


def kill_at(argv: list[str], line: str) -> None:
    """Run a command until it prints a line that begins so, then kill it outright."""
    assert signal_at(argv, line, signal.SIGKILL)[0] == -signal.SIGKILL


@pytest.mark.parametrize("cache_mb", ["1024", "0"], ids=["in memory", "streamed"])
def test_a_run_killed_twice_ends_with_the_same_weights_as_one_never_killed(
    tfrecords: Path, tmp_path: Path, cache_mb: str
):
    cache = ("--cache-mb", cache_mb)
    finish(command(tfrecords, tmp_path / "whole", *cache))
    kept = ("--checkpoint-dir", str(tmp_path / "ckpt"), "--checkpoint-every", "20", *cache)
    argv = command(tfrecords, tmp_path / "killed", *kept)
    kill_at(argv, "step=65 ")
    kill_at(argv, "step=130 ")
    log = finish(argv)
    resumed = [line for line in log if line.startswith("resumed at step=")]
    assert resumed == ["resumed at step=120"]
    assert not [line for line in log if line.startswith("step=115 ")]
    assert weights(tmp_path / "killed/model") == weights(tmp_path / "whole/model")
    whole, killed = (curves(tmp_path / name) for name in ("whole", "killed"))
    assert killed == whole
    assert whole["train"]["step"] == list(range(5, STEPS + 1, 5))
    assert whole["test"]["step"] == [100, STEPS]


def test_a_run_killed_while_it_exports_leaves_no_half_written_model(
    tfrecords: Path, tmp_path: Path
):
    argv = command(tfrecords, tmp_path, "--checkpoint-dir", str(tmp_path / "ckpt"))
    kill_at(argv, f"step={STEPS} test_accuracy=")
    visible = [p for p in (tmp_path / "model").iterdir() if p.name.isdigit()]
    # Either it was quick and the model is whole, or there is none.
    assert all((p / "saved_model.pb").exists() and (p / "variables").is_dir() for p in visible)
    finish(argv)
    assert weights(tmp_path / "model")
    assert not list((tmp_path / "model").glob(".*"))
