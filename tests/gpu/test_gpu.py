"""What only a GPU can show: `make test-gpu`. Not part of `make test`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from processes import needs_horovod, trainer


def gpus() -> int:
    """How many TensorFlow finds, asked in a process that lets go of them again."""
    ask = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    ran = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, timeout=120, check=False
    )
    return int(ran.stdout.split()[-1]) if ran.returncode == 0 else 0


@pytest.fixture(scope="module", autouse=True)
def count() -> int:
    """The GPUs of this machine; without one nothing here can pass."""
    found = gpus()
    assert found, "TensorFlow finds no GPU: make test-gpu DEVICE=gpu, on a machine that has one"
    return found


def train(tmp_path: Path, data: Path, *flags: str) -> dict:
    ran = trainer(
        *("train", "--train", str(data), "--model-dir", str(tmp_path / "model"), *flags),
        timeout=600,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads((tmp_path / "metrics.json").read_text()) | {"log": ran.stdout}


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_each_precision_learns(tmp_path: Path, tfrecords: Path, precision: str):
    found = train(tmp_path, tfrecords, "--precision", precision, "--no-deterministic")
    assert found["test_accuracy"] > 0.98
    assert found["hparams"]["precision"] == precision


def test_a_deterministic_run_gives_the_same_weights_again(tmp_path: Path, tfrecords: Path):
    digests = [
        train(tmp_path / name, tfrecords, "--steps", "200")["weights_crc32c"] for name in "ab"
    ]
    assert digests[0] == digests[1]


def test_all_gpus_are_mirrored(tmp_path: Path, tfrecords: Path, count: int):
    found = train(
        tmp_path, tfrecords, "--distribution", "mirrored", "--batch-size", str(64 * count)
    )
    assert found["replicas"] == count
    assert found["test_accuracy"] > 0.97


@needs_horovod
def test_ranks_share_gpus_without_taking_all_of_their_memory(
    tmp_path: Path, tfrecords: Path, count: int
):
    # NCCL wants a GPU for each rank; one rank does where there is but one.
    ranks = str(count)
    found = train(
        tmp_path, tfrecords, "--distribution", "horovod", "--processes-per-host", ranks,
        "--batch-size", str(64 * count),
    )  # fmt: skip
    assert found["processes"] == count
    assert len(set(found["weights_crc32c"])) == 1
    assert found["test_accuracy"] > 0.97


def test_workers_and_servers_train(tmp_path: Path, tfrecords: Path):
    found = train(tmp_path, tfrecords, "--distribution", "parameter_server", "--steps", "400")
    assert found["test_accuracy"] > 0.95
