"""Runs sent to a real MLflow server."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from mlflow import MlflowClient

from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.training.loop import train_and_evaluate

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder, uri = tmp_path_factory.mktemp("mlflow"), f"http://127.0.0.1:{free_port()}"
    argv = [sys.executable, "-m", "mlflow", "server", "--port", uri.rpartition(":")[2]]
    argv += ["--backend-store-uri", f"sqlite:///{folder}/db", "--workers", "1"]
    argv += ["--artifacts-destination", str(folder / "artifacts")]
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    process = subprocess.Popen(
        argv, cwd=folder, env=env, process_group=0, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)
        yield uri
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def job(tmp_path, uri, **fields) -> Job:
    hparams = Hparams(model="fast", precision="float32", batch_size=20)
    folders = {"model_dir": str(tmp_path / "model"), "checkpoint_dir": str(tmp_path / "ckpt")}
    return Job(hparams=hparams, log_every=2, mlflow_uri=uri, **{"steps": 4, **folders, **fields})


def test_a_run_and_the_one_that_goes_on_are_one_run_on_the_server(server, tmp_path):
    train_and_evaluate(job(tmp_path, server, mlflow_experiment="digits"))
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.params["model"]) == ("FINISHED", "fast")
    metrics = train_and_evaluate(job(tmp_path, server, mlflow_experiment="digits", steps=8))
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics["test_accuracy"] == pytest.approx(metrics["test_accuracy"])
    assert (run.data.params["steps"], run.data.tags["from_step_4.steps"]) == ("4", "8")
    history = client.get_metric_history(run.info.run_id, "loss")
    assert sorted(point.step for point in history) == [2, 4, 6, 8]
    files = [each.path for each in client.list_artifacts(run.info.run_id)]
    assert files == ["metrics.json", "report.html"]


def test_a_server_that_is_down_costs_one_warning_and_no_result(tmp_path, capsys):
    metrics = train_and_evaluate(job(tmp_path, f"http://me:swordfish@127.0.0.1:{free_port()}"))
    assert metrics["steps"] == 4
    printed = "".join(capsys.readouterr())
    assert printed.count("nothing more is sent") == 1
    assert "swordfish" not in printed


def test_without_the_package_a_line_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert train_and_evaluate(job(tmp_path, "http://127.0.0.1:1"))["steps"] == 4
    assert "pip install 'trainer-anywhere[mlflow]'" in "".join(capsys.readouterr())
