"""Runs sent to a real MLflow server."""

import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import requests
import tensorflow as tf
from buckets import s3
from mlflow import MlflowClient
from mlflow.models import Model
from processes import trainer

from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.training.loop import train_and_evaluate
from trainer.training.mlflow_later import send_run
from trainer.training.mlflow_server import ID_FILE, read_known

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def running(argv: list[str], folder: Path, *, uri: str, env: dict[str, str]) -> Iterator[None]:
    """Run a program of MLflow's until the block ends, which begins once it answers."""
    # It runs uvicorn by its name, and nine processes for jobs that no test has.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    env = os.environ | quiet | {"PATH": path} | env
    argv = [sys.executable, "-m", "mlflow", *argv, "--port", uri.rpartition(":")[2]]
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
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    folder, uri = tmp_path_factory.mktemp("mlflow"), f"http://127.0.0.1:{free_port()}"
    argv = ["server", "--backend-store-uri", f"sqlite:///{folder}/db", "--workers", "1"]
    argv += ["--artifacts-destination", str(folder / "artifacts")]
    with running(argv, folder, uri=uri, env={}):
        yield uri


def job(tmp_path, uri, **fields) -> Job:
    hparams = Hparams(model="fast", precision="float32", batch_size=20)
    folders = {"model_dir": str(tmp_path / "model"), "checkpoint_dir": str(tmp_path / "ckpt")}
    return Job(hparams=hparams, log_every=2, mlflow_uri=uri, **{"steps": 4, **folders, **fields})


def files_of(client, run) -> list[str]:
    return sorted(each.path for each in client.list_artifacts(run.info.run_id))


def points_of(client, run_id, name) -> list[tuple[int, float]]:
    history = client.get_metric_history(run_id, name)
    return sorted((point.step, point.value) for point in history)


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
    history = client.get_metric_history(run.info.run_id, "train_accuracy")
    assert sorted(point.step for point in history) == [2, 4, 6, 8]
    assert files_of(client, run) == ["metrics.json", "model", "report.html"]
    # All of it is there.
    again = send_run(str(tmp_path), uri=server, experiment=None)
    assert (again.run_id, again.is_new) == (run.info.run_id, False)


class SignatureKeeper(http.server.BaseHTTPRequestHandler):
    """Passes requests on to the server, as SageMaker's own does those that are signed."""

    def do_any(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.signatures.append(self.headers.get("Authorization", ""))
        headers = {k: v for k, v in self.headers.items() if k.lower() == "content-type"}
        answer = requests.request(
            self.command, self.server.behind + self.path, data=sent, headers=headers, timeout=30
        )
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_):
        pass


for _method in ("GET", "POST", "PUT", "PATCH"):
    setattr(SignatureKeeper, f"do_{_method}", SignatureKeeper.do_any)


def test_sagemakers_managed_tracking_gets_the_same_by_its_arn(tmp_path):
    uri, arn = f"http://127.0.0.1:{free_port()}", "arn:aws:sagemaker:us-east-1:123456789012:"
    before = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SignatureKeeper)
    before.signatures, before.behind = [], uri
    with contextlib.ExitStack() as stack:
        stack.callback(before.server_close)
        bucket, _, env = stack.enter_context(s3())
        # As SageMaker's do, it has clients write to a bucket themselves.
        argv = ["server", "--backend-store-uri", f"sqlite:///{tmp_path}/db", "--workers", "1"]
        argv += ["--no-serve-artifacts", "--default-artifact-root", f"{bucket}/runs"]
        stack.enter_context(running(argv, tmp_path, uri=uri, env=env))
        threading.Thread(target=before.serve_forever, daemon=True).start()
        stack.callback(before.shutdown)
        ran = trainer(
            *("train", "--model", "fast", "--batch-size", "20", "--steps", "2"),
            *("--model-dir", str(tmp_path / "model"), "--mlflow-experiment", "digits"),
            env=env
            | {
                "MLFLOW_TRACKING_URI": f"{arn}mlflow-tracking-server/team",
                "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": f"http://127.0.0.1:{before.server_port}",
                "MLFLOW_S3_ENDPOINT_URL": env["AWS_ENDPOINT_URL"],
            },
        )
        assert ran.returncode == 0, ran.stderr
        assert "warning" not in ran.stdout + ran.stderr
        client = MlflowClient(uri)
        (run,) = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert run.info.status == "FINISHED"
    assert (run.data.params["model"], run.info.artifact_uri.startswith(bucket)) == ("fast", True)
    assert before.signatures
    assert all(each.startswith("AWS4-HMAC-SHA256") for each in before.signatures)


def test_a_server_that_is_down_costs_one_warning_and_no_result(tmp_path, capsys):
    metrics = train_and_evaluate(job(tmp_path, f"http://me:swordfish@127.0.0.1:{free_port()}"))
    assert metrics["steps"] == 4
    printed = "".join(capsys.readouterr())
    assert printed.count("nothing more is sent") == 1
    assert "swordfish" not in printed
    assert f"later: trainer report {tmp_path} --to-mlflow http" in printed


def test_a_run_is_sent_later_from_its_folder_and_once_only(server, tmp_path):
    dead = f"http://127.0.0.1:{free_port()}"
    metrics = train_and_evaluate(job(tmp_path, dead, eval_every=2))
    command = ("report", str(tmp_path), "--to-mlflow", server, "--experiment", "later")
    first, second = (trainer(*command) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert second.stdout == first.stdout.rstrip("\n") + " (was there)\n"

    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("later")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert first.stdout.strip().endswith(f"{experiment.experiment_id}/runs/{run.info.run_id}")
    assert (run.info.status, run.data.params["batch_size"]) == ("FINISHED", "20")
    train, test = metrics["curves"]["train"], metrics["curves"]["test"]
    for name, curve, column in (("train_accuracy", train, "accuracy"), ("test_loss", test, "loss")):
        expected = list(zip(curve["step"], curve[column], strict=True))
        assert points_of(client, run.info.run_id, name) == expected
    assert files_of(client, run) == ["metrics.json", "model", "report.html"]
    # Where the folder cannot keep the id, the server knows the run.
    (tmp_path / ID_FILE).unlink()
    assert send_run(str(tmp_path), uri=server, experiment="later").run_id == run.info.run_id


def test_mlflow_serves_the_model_of_a_run(server, tmp_path):
    train_and_evaluate(job(tmp_path, server, steps=20, mlflow_experiment="served"))
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("served")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    here = Path(client.download_artifacts(run.info.run_id, "model", str(tmp_path)))
    example = json.loads((here / "serving_input_example.json").read_bytes())
    assert np.shape(example["inputs"]["image_input"]) == (1, 28, 28, 1)
    assert [t.name for t in Model.load(here).signature.outputs] == ["classes", "probabilities"]

    images = np.random.default_rng(5).random((3, 28, 28, 1), np.float32)
    served = tf.saved_model.load(str(tmp_path / "model/1"))
    expected = served.signatures["serving_default"](image_input=images)
    uri = f"http://127.0.0.1:{free_port()}"
    argv = ["models", "serve", "-m", f"runs:/{run.info.run_id}/model", "--env-manager", "local"]
    with running(argv, tmp_path, uri=uri, env={"MLFLOW_TRACKING_URI": server}):
        for body, rows in ((example, 1), ({"inputs": {"image_input": images.tolist()}}, 3)):
            request = urllib.request.Request(
                f"{uri}/invocations",
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=60) as response:
                predictions = json.load(response)["predictions"]
            assert len(predictions["classes"]) == rows
    assert predictions["classes"] == expected["classes"].numpy().tolist()
    np.testing.assert_allclose(
        predictions["probabilities"], expected["probabilities"].numpy(), atol=1e-5
    )


def test_what_a_server_that_went_down_has_got_is_not_sent_again(server, tmp_path):
    train_and_evaluate(job(tmp_path, server))
    known = read_known((tmp_path / ID_FILE).read_bytes())
    assert known is not None
    client = MlflowClient(server)
    half = client.create_run("0").info.run_id
    client.log_metric(half, "loss", 9.0, step=2)
    (tmp_path / ID_FILE).write_text(replace(known, run_id=half).as_text())
    sent = send_run(str(tmp_path), uri=server, experiment=None)
    assert (sent.run_id, sent.is_new) == (half, True)
    (kept, added) = points_of(client, half, "loss")
    assert (kept, added[0]) == ((2, 9.0), 4)
    assert client.get_run(half).info.status == "FINISHED"


def test_a_run_in_a_store_is_sent_once(server, tmp_path):
    with s3() as (bucket, _, env):
        folder = f"{bucket}/run"
        ran = trainer(
            *("train", "--model", "fast", "--batch-size", "20", "--steps", "2"),
            *("--model-dir", f"{folder}/model", "--mlflow-uri", f"http://127.0.0.1:{free_port()}"),
            env=env,
        )
        assert ran.returncode == 0, ran.stderr
        assert f"trainer report {folder} --to-mlflow" in ran.stdout + ran.stderr
        command = ("report", folder, "--to-mlflow", server)
        first, second = (trainer(*command, env=env) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert second.stdout == first.stdout.rstrip("\n") + " (was there)\n"


def test_a_server_that_is_still_down_is_one_line(tmp_path):
    (tmp_path / "metrics.json").write_text('{"model": "cnn", "steps": 1}')
    ran = trainer("report", str(tmp_path), "--to-mlflow", f"http://127.0.0.1:{free_port()}")
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert "--to-mlflow http://127.0.0.1" in line and "look whether the server runs" in line


def test_without_the_package_a_line_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert train_and_evaluate(job(tmp_path, "http://127.0.0.1:1"))["steps"] == 4
    assert "pip install 'trainer-anywhere[mlflow]'" in "".join(capsys.readouterr())


def test_an_experiment_without_a_server_is_one_line(tmp_path):
    ran = trainer("report", str(tmp_path), "--experiment", "digits")
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert "--experiment digits" in line and "add --to-mlflow URI" in line
