"""`trainer submit --local`: the request of each cloud on this machine's engine, with no account."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from containers import DEADLINE, Engine
from submitting import Trainer, error, everything

SMALL = ("--model", "fast", "--steps", "20")


@pytest.fixture
def trainer(image: str, tmp_path: Path) -> Trainer:
    return Trainer(image, tmp_path)


@pytest.fixture
def name(engine: Engine):
    """The name of a job, of which the runner itself leaves nothing."""
    name = f"trainer-test-{os.urandom(4).hex()}"
    yield name
    left = everything(engine, name)
    if left:
        engine("rm", "--force", "--volumes", *left, check=False)
    assert left == []


def metrics(folder: Path) -> dict:
    (path,) = folder.rglob("metrics.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize("place", ["sagemaker", "vertex", "kubernetes"])
def test_two_hosts_train_with_no_account_and_the_results_are_here(
    trainer, name, tfrecords, tmp_path, place
):
    volumes = ("--volume", f"data:{tfrecords}:ro", "out:/results")
    ran = trainer.submit(
        place, "--name", name, "--hosts", "2", "--local", *(volumes * (place == "kubernetes")),
        "--", *SMALL, "--train", str(tfrecords), "--distribution", "horovod",
    )  # fmt: skip
    assert "step=20 " in ran.stdout
    folder = tmp_path / "runs" / name
    assert metrics(folder)["processes"] == 2
    assert list((folder / "model").rglob("saved_model.pb"))


def test_parameter_servers_and_an_evaluator_of_vertex_share_the_bucket(
    trainer, name, tfrecords, tmp_path
):
    ran = trainer.submit(
        "vertex", "--name", name, "--hosts", "2", "--evaluators", "1", "--local",
        "--", *SMALL, "--train", str(tfrecords), "--distribution", "parameter_server",
    )  # fmt: skip
    assert "workerpool3-" in ran.stdout
    assert metrics(tmp_path / "runs" / name)["distribution"] == "parameter_server"


def test_sagemaker_brings_a_module_as_a_channel(trainer, name, tfrecords, tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets/mine.py").write_text("import beside\nfrom trainer.model import keras_model\n")
    (tmp_path / "nets/beside.py").write_text("")
    trainer.submit(
        "sagemaker", "--name", name, "--local", "--output", "there",
        "--", "--module", "nets/mine.py", "--steps", "4", "--train", str(tfrecords),
    )  # fmt: skip
    assert metrics(tmp_path / "there" / name)["steps"] == 4


def test_a_mistake_ends_with_the_jobs_code_and_its_failure_file(trainer, name, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.npy").write_text("no data")
    ran = trainer.submit("sagemaker", "--name", name, "--local", "--", "--train", "data", code=2)
    assert "x.npy" in ran.stderr
    assert "x.npy" in (tmp_path / "runs" / name / "output/failure").read_text()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0)])
def test_an_interrupt_stops_the_job_which_saves(trainer, name, tfrecords, tmp_path, number, code):
    """On SageMaker a job that stops in time has succeeded: its model counts."""
    argv = [
        "submit", "--to", "sagemaker", "--image", trainer.image, "--name", name, "--local",
        "--", "--model", "cnn", "--steps", "100000", "--log-every", "1", "--train", str(tfrecords),
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", *argv], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert any(line.startswith("step=2 ") for line in process.stdout)
    process.send_signal(number)
    assert process.wait(DEADLINE) == code
    assert list((tmp_path / "runs" / name / "model").rglob("saved_model.pb"))


def test_data_of_a_store_is_refused_in_one_line(trainer, name):
    ran = trainer.submit(
        "sagemaker", "--name", name, "--local", "--", "--train", "s3://bucket/data", code=2
    )
    assert error(ran).startswith("s3://bucket/data: --local brings nothing from stores; name data")
