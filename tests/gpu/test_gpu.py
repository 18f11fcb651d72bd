"""What only a GPU can show: `make test-gpu DEVICE=gpu`. Not part of `make test`.

In an order that tells the most in the first minutes. What is found goes into runs/gpu.json, written
after each test. `TEST_DEVICE=cpu` runs the same on a CPU, to try the tests themselves.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import environment, needs_horovod, trainer
from servers import PREDICT, serving

from trainer.runtime.precision import of_host

HERE = Path(__file__).parent
MODELS = ("cnn", "fast", "sagemaker-cnn")
# How far from the CPU's float32 a number may be, relative to it. A GPU computes float32 in TF32.
TOLERANCES = {"float32": 5e-3, "bfloat16": 5e-2, "float16": 1e-2}
NCCL = """
import sys
from trainer.runtime.tensorflow import import_tensorflow
# NCCL wants some of the GPU's memory, too.
tf = import_tensorflow(device=sys.argv[1], gpu=0)
import horovod.tensorflow as hvd
hvd.init()
sums = hvd.grouped_allreduce([tf.ones([1000]), tf.ones([7])], op=hvd.Sum)
totals = [float(tf.reduce_sum(each)) for each in sums]
print("sums", *totals, sums[0].device, bool(hvd.nccl_built()))
"""


def numbers(device: str) -> dict[str, Any]:
    """What one_step.py prints."""
    ran = subprocess.run(
        [sys.executable, HERE / "one_step.py", device],
        env=environment(), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def computed(device: str) -> dict[str, dict[str, Any]]:
    """The numbers of both devices."""
    return {name: numbers(name) for name in {device, "cpu"}}


@pytest.fixture(scope="module")
def count(device: str) -> int:
    """How many GPUs TensorFlow finds, asked in a process that lets go of them again."""
    ask = (
        "from trainer.runtime.tensorflow import cuda; cuda.preload()\n"
        "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, timeout=120, check=True
    )
    return int(ran.stdout.split()[-1]) if device == "gpu" else 1


@pytest.fixture
def train(tmp_path: Path, tfrecords: Path, device: str) -> Callable[..., dict[str, Any]]:
    """Trains on the device: `train(*flags)` gives metrics.json, the log and seconds in all."""

    def run(*flags: str, name: str = "run", **env: str) -> dict[str, Any]:
        folder = tmp_path / name
        argv = ("train", "--train", str(tfrecords), "--model-dir", str(folder / "model"))
        began = time.monotonic()
        ran = trainer(*argv, "--device", device, *flags, env=env, timeout=300)
        wall = time.monotonic() - began
        assert ran.returncode == 0, ran.stdout + ran.stderr
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["device"]["kind"] == device
        return metrics | {"log": ran.stdout + ran.stderr, "wall": wall}

    return run


def test_1_the_device_is_found_and_named(device: str, record: Callable):
    ran = trainer("doctor", "--json", "--device", device)
    findings = [f for f in json.loads(ran.stdout)["findings"] if f["about"].startswith("gpu")]
    record(findings=[f["text"] for f in findings])
    assert [f for f in findings if f["level"] == "problem"] == []


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("model", MODELS)
def test_2_one_step_gives_the_cpus_numbers(
    model: str, precision: str, device: str, computed: dict[str, dict[str, Any]], record: Callable
):
    if device == "cpu" and precision != "float32":
        pytest.skip("the CPU's float32 is what is compared with")
    wanted = computed["cpu"]["steps"][f"{model} float32"]
    found = computed[device]["steps"][f"{model} {precision}"]
    record(device=computed[device]["device"], cpu=wanted, found=found)
    for name, number in wanted.items():
        assert math.isclose(found[name], number, rel_tol=TOLERANCES[precision]), name


def test_3_fast_reaches_99_percent(device: str, train: Callable, record: Callable, tmp_path: Path):
    """Twice: at first the driver compiles for a GPU that TensorFlow has no code for."""
    cache = {"CUDA_CACHE_PATH": str(tmp_path / "cuda"), "CUDA_CACHE_MAXSIZE": str(2**31)}
    for name in ("first", "again"):
        found = train("--model", "fast", "--target-accuracy", "0.99", name=name, **cache)
        record(**{name: {key: found[key] for key in ("test_accuracy", "train_seconds", "wall")}})
        assert found["test_accuracy"] >= 0.99
    # What hosts tell each other without TensorFlow, None where there is no nvidia-smi.
    stated = of_host(gpus=int(device == "gpu"), env=os.environ)
    record(stated=stated, precision=found["hparams"]["precision"])
    assert stated in (None, found["hparams"]["precision"])


@pytest.mark.parametrize("model", MODELS)
def test_4_images_a_second_beside_what_the_device_can_do(
    model: str, device: str, train: Callable, computed: dict[str, dict[str, Any]], record: Callable
):
    steps, batch = (2000, 512) if device == "gpu" else (20, 64)
    found = train(
        "--model", model, "--steps", str(steps), "--batch-size", str(batch), "--no-deterministic",
        "--eval-every", str(steps), "--eval-batch-size", "1000",
    )  # fmt: skip
    rate, precision = found["images_per_second"], found["hparams"]["precision"]
    peak, flops = computed[device]["peak"], computed[device]["flops"][model]
    reached = rate * flops / peak["flops_float32" if precision == "float32" else "flops_bfloat16"]
    record(images_per_second=rate, precision=precision, batch_size=batch, of_peak=reached)
    assert np.isfinite(found["train_loss"])
    # More than can be is a mistake of the measurement.
    assert 0 < reached < 1


@needs_horovod
def test_5_one_rank_of_horovod_uses_nccl(device: str, train: Callable, record: Callable):
    ran = subprocess.run(
        [sys.executable, "-c", NCCL, device],
        env=environment({"NCCL_DEBUG": "INFO", "TF_CPP_MIN_LOG_LEVEL": "3"}),
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    (line,) = (x for x in ran.stdout.splitlines() if x.startswith("sums "))
    record(
        nccl=[x for x in (ran.stdout + ran.stderr).splitlines() if "NCCL version" in x], sums=line
    )
    assert line.startswith("sums 1000.0 7.0 ")
    if device == "gpu":
        assert "GPU:0" in line
        assert line.endswith(" True")
    found = train("--distribution", "horovod", "--processes-per-host", "1", "--steps", "50")
    record(images_per_second=found["images_per_second"])


def test_6_a_server_gives_the_probabilities_of_the_cpu(
    device: str, train: Callable, tmp_path: Path, record: Callable
):
    train("--model", "fast", "--steps", "50")
    rows = np.random.default_rng(0).random((64, 28, 28, 1), np.float32).round(3)
    found, seconds = {}, {}
    for name in {device, "cpu"}:
        hide = {"CUDA_VISIBLE_DEVICES": "-1"} if name == "cpu" else {}
        with serving(tmp_path / "run/model", env=hide) as server:
            times = []
            for _ in range(20):
                began = time.perf_counter()
                reply = server.post(PREDICT, {"instances": rows.tolist()})
                times.append(time.perf_counter() - began)
            found[name] = np.array([p["probabilities"] for p in reply.json["predictions"]])
            seconds[name] = statistics.median(times)
    record(median_seconds_of_64=seconds)
    np.testing.assert_allclose(found[device], found["cpu"], atol=5e-3)


@pytest.mark.parametrize("precision", TOLERANCES)
def test_7_each_precision_learns(precision: str, device: str, train: Callable, record: Callable):
    short = () if device == "gpu" else ("--steps", "100")
    found = train("--precision", precision, "--no-deterministic", *short)
    record(test_accuracy=found["test_accuracy"], images_per_second=found["images_per_second"])
    assert found["test_accuracy"] > (0.98 if device == "gpu" else 0.5)
    assert found["hparams"]["precision"] == precision


def test_8_a_deterministic_run_gives_the_same_weights_again(train: Callable, record: Callable):
    digests = [train("--steps", "200", name=name)["weights_crc32c"] for name in "ab"]
    record(digests=digests)
    assert digests[0] == digests[1]


def test_9_all_gpus_are_mirrored(count: int, train: Callable, record: Callable):
    flags = ("--distribution", "mirrored", "--batch-size", str(64 * count), "--steps", "400")
    found = train(*flags)
    record(replicas=found["replicas"], images_per_second=found["images_per_second"])
    assert found["replicas"] == count
    assert found["test_accuracy"] > 0.9


@needs_horovod
@pytest.mark.parametrize("how", ["horovod", "multi_worker_mirrored"])
def test_9_processes_have_a_gpu_each(how: str, count: int, train: Callable, record: Callable):
    found = train(
        "--distribution", how, "--processes-per-host", str(count), "--steps", "400",
        "--batch-size", str(64 * count),
    )  # fmt: skip
    record(processes=found["processes"], images_per_second=found["images_per_second"])
    assert found["processes"] == count
    assert len(set(found["weights_crc32c"])) == 1
    assert found["test_accuracy"] > 0.9


def test_9_workers_and_servers_train(device: str, train: Callable, record: Callable):
    found = train("--distribution", "parameter_server", "--steps", "200")
    record(images_per_second=found["images_per_second"], device=found["device"])
    assert found["test_accuracy"] > 0.9
