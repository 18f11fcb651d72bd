"""`trainer submit --to sagemaker --local`: SageMaker's request, run by the image."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from containers import Engine

MODULE = '''\
"""A model of one's own."""

import keras


def keras_model(hparams):
    """Build one layer, as wide as is asked for."""
    assert dict(hparams.hp)["say"] == "it's \\"quoted\\" é", hparams.hp
    image = keras.Input((28, 28, 1), name="image_input")
    flat = keras.layers.Flatten()(image)
    return keras.Model(image, keras.layers.Dense(10, dtype="float32")(flat))
'''


@pytest.mark.parametrize(
    ("strategy", "hosts"),
    [
        ("none", 1), ("mirrored", 1), ("horovod", 2), ("multi_worker_mirrored", 2),
        ("parameter_server", 2),
    ],
)  # fmt: skip
def test_every_strategy_trains_on_data_and_a_module_of_this_machine(
    engine: Engine, image: str, tfrecords: Path, tmp_path: Path, strategy: str, hosts: int
):
    module = tmp_path / "mine.py"
    module.write_text(MODULE)
    ran = subprocess.run(
        [
            sys.executable, "-m", "trainer", "submit", "--to", "sagemaker", "--local",
            "--hosts", str(hosts), "--image", image, "--output", str(tmp_path / "runs"),
            "--name", f"run-{strategy.replace('_', '-')}", "--spot", "--",
            "--distribution", strategy, "--module", str(module), "--hp", "say=it's \"quoted\" é",
            "--train", str(tfrecords / "train"), "--test", f"{tfrecords}/test/*", "--steps", "20",
            "--batch-size", "60", "--checkpoint-every", "10",
        ],
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (run,) = (tmp_path / "runs").iterdir()
    metrics = json.loads((run / "output/data/metrics.json").read_bytes())
    assert metrics["steps"] == 20
    assert metrics["distribution"] == strategy
    assert metrics["platform"] == "sagemaker"
    assert list(run.glob("model/*/saved_model.pb"))
    assert list(run.glob("checkpoints/ckpt-*"))
    assert "not used" not in ran.stdout
