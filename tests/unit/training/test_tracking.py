"""Runs that are sent as they train, to a real tracking store."""

import dataclasses
import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainer.config import Hparams, Job
from trainer.training import mlflow_server, tracking
from trainer.training.loop import train_and_evaluate
from trainer.training.mlflow_later import send_run
from trainer.training.mlflow_server import ID_FILE

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def client(tracking_store):
    return mlflow_server.connect(tracking_store)


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level(logging.INFO, "trainer")
    return caplog


def job(folder: Path, uri: str, **fields) -> Job:
    hparams = Hparams(model="fast", precision="float32", batch_size=20)
    fields = {"steps": 4, "mlflow_experiment": str(folder)} | fields
    return Job(
        hparams=hparams, log_every=2, mlflow_uri=uri, model_dir=str(folder / "model"),
        checkpoint_dir=str(folder / "ckpt"), **fields,
    )  # fmt: skip


def the_run(client, folder: Path):
    experiment = client.get_experiment_by_name(str(folder))
    (run,) = client.search_runs([experiment.experiment_id])
    return run


def steps(client, run, name: str) -> list[int]:
    return sorted(point.step for point in client.get_metric_history(run.info.run_id, name))


def files(client, run) -> list[str]:
    return sorted(each.path for each in client.list_artifacts(run.info.run_id))


def test_a_run_and_the_one_that_goes_on_are_one(client, tracking_store, tmp_path):
    train_and_evaluate(job(tmp_path, tracking_store))
    run = the_run(client, tmp_path)
    assert (run.info.status, run.data.params["model"]) == ("FINISHED", "fast")
    metrics = train_and_evaluate(job(tmp_path, tracking_store, steps=8))
    run = the_run(client, tmp_path)
    assert run.data.metrics["test_accuracy"] == pytest.approx(metrics["test_accuracy"])
    assert run.data.metrics["images_per_second"] > 0
    assert (run.data.params["steps"], run.data.tags["from_step_4.steps"]) == ("4", "8")
    assert steps(client, run, "loss") == steps(client, run, "learning_rate") == [2, 4, 6, 8]
    assert steps(client, run, "test_loss") == [4, 8]
    assert files(client, run) == ["metrics.json", "model", "report.html"]
    # One test image is the example that the model is sent with.
    here = client.download_artifacts(run.info.run_id, "model", str(tmp_path))
    example = json.loads(Path(here, "serving_input_example.json").read_bytes())
    (image,) = example["inputs"]["image_input"]
    assert (len(image), len(image[0])) == (28, 28)
    # All of it is there.
    again = send_run(str(tmp_path), uri=tracking_store, experiment=None)
    assert (again.run_id, again.is_new) == (run.info.run_id, False)


def test_a_run_that_is_stopped_is_sent_as_such_without_its_model(
    client, tracking_store, tmp_path, logged
):
    def stopped() -> bool:
        return "step=2 of=40" in logged.text

    metrics = train_and_evaluate(job(tmp_path, tracking_store, steps=40), stop_requested=stopped)
    assert metrics["stopped"]
    run = the_run(client, tmp_path)
    assert run.info.status == "KILLED"
    assert files(client, run) == ["metrics.json", "report.html"]


def test_a_run_that_fails_is_sent_as_such(client, tracking_store, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("no space")

    monkeypatch.setattr("trainer.training.loop.export", fail)
    with pytest.raises(RuntimeError, match="no space"):
        train_and_evaluate(job(tmp_path, tracking_store))
    run = the_run(client, tmp_path)
    assert (run.info.status, steps(client, run, "loss")) == ("FAILED", [2, 4])
    assert files(client, run) == []
    assert not (tmp_path / ID_FILE).exists()


def test_an_example_that_cannot_be_had_is_none(tmp_path):
    # It has no data.
    assert tracking._example(SimpleNamespace(module=None), tmp_path) is None


def test_the_command_that_sends_a_run_later_names_the_server_and_the_experiment(tmp_path):
    tracked = job(tmp_path, "http://host:5000", mlflow_experiment="a b")
    assert tracking._later(tracked, "s3://bucket/run") == (
        "trainer report s3://bucket/run --to-mlflow http://host:5000 --experiment 'a b'"
    )
    plain = dataclasses.replace(tracked, mlflow_experiment=None)
    assert tracking._later(plain, "run") == "trainer report run --to-mlflow http://host:5000"
