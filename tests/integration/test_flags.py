"""Every value of every flag that has a list of values, and every pair of them, on one process."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from trainer.cli import command_line
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import flag_of, options_of

# Those that start other processes have tests of their own; a GPU may not be here.
ELSEWHERE = ("parameter_server", "horovod", "gpu")
# The ends of ranges, where arithmetic goes wrong; those that make a loss infinite are left out.
ENDS: dict[str, tuple[str, ...]] = {
    "dropout": ("0", "0.99"),
    "batch_size": ("1", "300"),
    "warmup": ("0", "1"),
    "momentum": ("0", "0.9999"),
    "beta_1": ("0", "0.9999"),
    "beta_2": ("0", "0.99999"),
    "epsilon": ("1e-8", "1"),
    "weight_decay": ("0", "1"),
    "label_smoothing": ("0", "0.9"),
    "learning_rate": ("1e-30", "0.01"),
    "cache_mb": ("0", "1000"),
    "validation_split": ("0.1", "0.9"),
    "eval_batch_size": ("1", "65536"),
    "steps_per_call": ("1", "100000"),
    "log_every": ("1", "1000"),
    "scaling_epochs": ("0", "9"),
    "keep": ("1", "9"),
    "threads": ("0",),
}


def factors() -> dict[str, list[str]]:
    """Each flag that has values to try, with the arguments that give it each of them."""
    found: dict[str, list[str]] = {}
    for part in (Hparams, Job):
        for name, limits in options_of(part).items():
            values = [v for v in limits.choices if v not in ELSEWHERE] or ENDS.get(name, ())
            if values:
                found[name] = [f"{flag_of(name)}={value}" for value in values]
    found["deterministic"] = ["--deterministic", "--no-deterministic"]
    found["length"] = ["--steps=1", "--steps=3", "--epochs=0.01"]
    found["eval_every"] = ["--eval-every=1", "--eval-every=5"]
    found["early_stop"] = ["--early-stop=1", "--early-stop=9:0.1"]
    found["target_accuracy"] = ["--target-accuracy=0.01", "--target-accuracy=1"]
    return found


def runs() -> list[tuple[str, ...]]:
    """Few runs in which each value of each flag meets each value of each other one.

    Greedy: each run takes, flag by flag, the value that meets most of those not met yet.
    """
    given = sorted(factors().values(), key=len, reverse=True)
    wanted = {
        frozenset(pair)
        for a, b in itertools.combinations(given, 2)
        for pair in itertools.product(a, b)
    }
    found = []
    while wanted:
        run = list(min(wanted, key=sorted))
        for values in given:
            if not set(values) & set(run):
                run.append(
                    max(values, key=lambda v: sum(frozenset((v, other)) in wanted for other in run))
                )
        found.append(tuple(run))
        wanted -= {frozenset(pair) for pair in itertools.combinations(run, 2)}
    return found


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    random = np.random.default_rng(0)
    for split, count in (("train", 200), ("test", 50)):
        images = random.integers(0, 255, (count, 28, 28), dtype=np.uint8)
        np.save(folder / f"{split}_images.npy", images)
        np.save(folder / f"{split}_labels.npy", np.arange(count) % 10)
    return folder


@pytest.mark.parametrize("run", runs())
def test_each_pair_of_values_trains_or_is_refused_by_name(run, digits, tmp_path, capfd):
    argv = ["--train", str(digits), "--job-dir", str(tmp_path / "job"), *run]
    code = command_line.main(["train", *argv])
    err = capfd.readouterr().err.strip()
    if code == 2:
        line = err.splitlines()[-1]
        if "the loss is" in line:
            # Some pairs of rates are too much on some processors; the line says what to change.
            assert "--learning-rate" in line
            return
        assert re.match(r"trainer: error: --\w", line), line
    else:
        assert (code, "Traceback" in err) == (0, False), err
        assert (tmp_path / "job/metrics.json").exists()
    assert command_line.main(["train", *argv, "--dry-run"]) == code
