"""Hosts that hold different data, as SageMaker's ShardedByS3Key gives it to them."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import warm
from namespaces import Hosts, Running
from processes import environment, needs_horovod, run

from trainer.data.files import open_tables

TRAIN = [sys.executable, "-u", "-m", "trainer", "train"]
SIZES = (200, 100)
# Without any noise, so that the order of examples within a step plays no part.
FLAGS = (
    *("--model", "cnn", "--dropout", "0", "--precision", "float32", "--threads", "1"),
    *("--optimizer", "sgd", "--learning-rate", "0.05", "--schedule", "constant"),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, mnist_dir: Path) -> Path:
    """`host-1` and `host-2` with a part each, `all` with both, and `test`."""
    folder = tmp_path_factory.mktemp("sharded")
    images, labels = open_tables([str(mnist_dir)], split="train")[0].read(0, 320)
    first = 0
    for i, count in enumerate(SIZES):
        part = slice(first, first + count)
        for name in (f"host-{i + 1}", "all"):
            (folder / name).mkdir(exist_ok=True)
            np.save(folder / name / f"images-{i}.npy", images[part])
            np.save(folder / name / f"labels-{i}.npy", labels[part])
        first += count
    (folder / "test").mkdir()
    images, labels = open_tables([str(mnist_dir)], split="test")[0].read(0, 256)
    np.save(folder / "test/images.npy", images)
    np.save(folder / "test/labels.npy", labels)
    return folder


def on_sagemaker(net: Hosts, i: int, folder: Path, data: Path, **more: object) -> dict[str, str]:
    """What a job with a sharded `train` channel gives the container of a host."""
    base = folder / net.names[i]
    for name in ("model", "output/data"):
        (base / name).mkdir(parents=True, exist_ok=True)
    sharded = {"TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key"}
    whole = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
    return {
        "SM_MODEL_DIR": str(base / "model"),
        "SM_OUTPUT_DATA_DIR": str(base / "output/data"),
        "SM_CHANNEL_TRAIN": str(data / net.names[i]),
        "SM_CHANNEL_TEST": str(data / "test"),
        "SM_INPUT_DATA_CONFIG": json.dumps({"train": sharded, "test": whole}),
        "SM_HOSTS": json.dumps(net.names),
        "SM_CURRENT_HOST": net.names[i],
        "SM_HPS": json.dumps(more),
    }


def start(net: Hosts, i: int, env: dict[str, str], *flags: str) -> Running:
    return net.start(i, [*TRAIN, *FLAGS, *flags], env, warm.Popen)


def alone(data: Path, folder: Path, *flags: str) -> dict:
    """The report of one process that trains on all of the data."""
    out = folder / "alone"
    given = ["--train", str(data / "all"), "--test", str(data / "test"), "--model-dir"]
    argv = [*TRAIN, *FLAGS, *flags, *given, str(out / "model")]
    ran = run(argv, env=environment(), timeout=180)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads((out / "metrics.json").read_text())


@pytest.mark.parametrize(
    "how", ["multi_worker_mirrored", pytest.param("horovod", marks=needs_horovod)]
)
def test_unequal_shards_train_as_one_process_does_with_all_of_the_data(hosts, data, tmp_path, how):
    net = hosts(2)
    # A step of all of the data, so that nothing depends on who takes which example when.
    flags = ("--batch-size", "300", "--epochs", "5")
    running = [
        start(net, i, on_sagemaker(net, i, tmp_path, data, distribution=how), *flags)
        for i in range(2)
    ]
    for process in running:
        assert process.wait(180) == 0, process.text()
    found = json.loads((tmp_path / "host-1/output/data/metrics.json").read_text())
    assert (found["steps"], found["epochs"], found["processes"]) == (5, 5.0, 2)
    assert found["data"]["train"]["examples"] == 300
    assert found["data"]["test"]["examples"] == 256
    assert len(set(found["weights_crc32c"])) == 1
    whole = alone(data, tmp_path, *flags)
    assert found["test_loss"] == pytest.approx(whole["test_loss"], rel=1e-4)
    assert found["train_loss"] == pytest.approx(whole["train_loss"], rel=1e-4)


def test_an_epoch_has_the_steps_of_all_examples_and_a_stop_goes_on_where_it_was(
    hosts, data, tmp_path
):
    net = hosts(2)
    kept = ("--checkpoint-dir", str(tmp_path / "kept"), "--batch-size", "50")
    for steps in ("7", "12"):
        running = [
            start(net, i, on_sagemaker(net, i, tmp_path, data), *kept, "--steps", steps)
            for i in range(2)
        ]
        for process in running:
            assert process.wait(180) == 0, process.text()
    assert "resumed at step=7" in running[0].text()
    found = json.loads((tmp_path / "host-1/output/data/metrics.json").read_text())
    assert (found["steps"], found["epochs"]) == (12, 2.0)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_host_without_data_to_evaluate_on_is_one_line(hosts, data, tmp_path, split):
    net = hosts(2)
    folder = tmp_path / "data"
    for name in net.names:
        shutil.copytree(data / name, folder / name / "train")
    # The first host alone got an object of the other split.
    shutil.copytree(data / "test", folder / net.names[0] / split)
    running = []
    for i in range(2):
        env = on_sagemaker(net, i, tmp_path, folder)
        if split == "test":
            del env["SM_CHANNEL_TEST"]
        else:
            env["SM_CHANNEL_TEST"] = str(data / "test")
        running.append(start(net, i, env, "--steps", "4"))
    codes = [process.wait(120) for process in running]
    texts = [process.text() for process in running]
    assert codes == [2, 2], texts
    for text in texts:
        lines = [line for line in text.splitlines() if f"processes have {split} data" in line]
        assert lines, text
        assert "Traceback" not in text
