"""Runs sent from their folder to a real tracking store; without TensorFlow."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from made_models import graph, saved_model

from trainer.config import UserError
from trainer.training import mlflow_server
from trainer.training.mlflow_later import SentRun, send_run
from trainer.training.mlflow_server import ID_FILE, METRICS_TAG, digest_of, read_known

pytestmark = pytest.mark.slow

CURVES = {
    "train": {
        "step": [2, 4], "seconds": [1.0, 2.0], "loss": [1.5, 0.5], "accuracy": [0.5, None],
        "learning_rate": [0.1, 0.05], "images_per_second": [100.0, 200.0],
    },
    "test": {"step": [4], "seconds": [2.0], "loss": [0.75], "accuracy": [0.875]},
}  # fmt: skip
RECORD = {
    "model": "fast", "steps": 4, "train_seconds": 2.0, "curves": CURVES,
    "time_split": {"compute": 2.0, "other": 1.0},
    "hparams": {"model": "fast", "dropout": None, "hp": [["width", "8"]], "batch_size": 20},
}  # fmt: skip


@pytest.fixture
def client(tracking_store):
    return mlflow_server.connect(tracking_store)


@pytest.fixture
def experiment(client, tmp_path) -> str:
    """The name of an experiment of this test alone: the store knows runs by their record."""
    return str(client.get_experiment(client.create_experiment(str(tmp_path))).name)


def write(folder: Path, **changes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(RECORD | changes))
    return folder


def files(client, run_id: str) -> list[str]:
    return sorted(each.path for each in client.list_artifacts(run_id))


def points(client, run_id: str, name: str) -> list[tuple[int, float]]:
    return sorted((p.step, p.value) for p in client.get_metric_history(run_id, name))


def test_all_of_a_run_is_sent_once(client, tracking_store, experiment, tmp_path):
    folder = write(
        tmp_path / "run", model_path=str(saved_model(tmp_path / "m/1", graph("serving_default")))
    )
    sent = send_run(str(folder), uri=tracking_store, experiment=experiment)
    run = client.get_run(sent.run_id)
    assert (sent.is_new, sent.experiment_id) == (True, run.info.experiment_id)
    assert client.get_experiment(sent.experiment_id).name == experiment
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model": "fast", "batch_size": "20", "hp.width": "8", "steps": "4"}
    assert points(client, sent.run_id, "loss") == [(2, 1.5), (4, 0.5)]
    # Where nobody counted there is no point.
    assert points(client, sent.run_id, "train_accuracy") == [(2, 0.5)]
    assert points(client, sent.run_id, "test_accuracy") == [(4, 0.875)]
    assert files(client, sent.run_id) == ["metrics.json", "model", "report.html"]
    # It began as long before its end as it took.
    assert run.info.end_time - run.info.start_time == 3000
    assert run.data.tags[METRICS_TAG] == digest_of((folder / "metrics.json").read_bytes())
    again = send_run(f"{folder}/", uri=tracking_store, experiment=experiment)
    assert again == dataclasses.replace(sent, is_new=False)


def test_the_last_figures_of_a_module_are_sent(client, tracking_store, experiment, tmp_path):
    found = {"loss": 0.75, "mean_absolute_error": 0.25}
    folder = write(tmp_path / "run", test_metrics=found)
    for _ in range(2):
        sent = send_run(str(folder), uri=tracking_store, experiment=experiment)
    assert points(client, sent.run_id, "test_mean_absolute_error") == [(4, 0.25)]
    assert points(client, sent.run_id, "test_loss") == [(4, 0.75)]


def test_the_curves_of_a_modules_metrics_are_sent(client, tracking_store, experiment, tmp_path):
    test = {**CURVES["test"], "step": [2, 4], "seconds": [1.0, 2.0], "metrics": {"r2": [None, 0.5]}}
    curves = CURVES | {"test": test}
    folder = write(tmp_path / "run", curves=curves, test_metrics={"r2": 0.5})
    for _ in range(2):
        sent = send_run(str(folder), uri=tracking_store, experiment=experiment)
    assert points(client, sent.run_id, "test_r2") == [(4, 0.5)]


def test_without_its_id_a_run_is_known_by_its_record(tracking_store, experiment, tmp_path):
    folder = write(tmp_path / "run")
    sent = send_run(str(folder), uri=tracking_store, experiment=experiment)
    (folder / ID_FILE).unlink()
    again = send_run(str(folder), uri=tracking_store, experiment=experiment)
    assert again == dataclasses.replace(sent, is_new=False)
    assert read_known((folder / ID_FILE).read_bytes()) is not None


def test_an_id_of_another_run_or_of_none_is_not_taken(tracking_store, experiment, tmp_path):
    folder = write(tmp_path / "run")
    first = send_run(str(folder), uri=tracking_store, experiment=experiment)
    known = read_known((folder / ID_FILE).read_bytes())
    assert known is not None
    # The server has lost the run that the file names.
    (folder / ID_FILE).write_text(dataclasses.replace(known, run_id="f" * 32).as_text())
    again = send_run(str(folder), uri=tracking_store, experiment=experiment)
    assert again == dataclasses.replace(first, is_new=False)
    # The folder has a later run's record.
    write(folder, steps=5)
    other = send_run(str(folder), uri=tracking_store, experiment=experiment)
    assert other.is_new and other.run_id != first.run_id


def test_only_what_is_missing_is_sent(client, tracking_store, experiment, tmp_path):
    folder = write(tmp_path / "run")
    digest = digest_of((folder / "metrics.json").read_bytes())
    where = client.get_experiment_by_name(experiment).experiment_id
    half = client.create_run(where, tags={METRICS_TAG: digest}).info.run_id
    client.log_metric(half, "loss", 9.0, step=2)
    client.log_param(half, "steps", "3")
    sent = send_run(str(folder), uri=tracking_store, experiment=experiment)
    assert sent == SentRun(experiment_id=where, run_id=half, is_new=True)
    assert points(client, half, "loss") == [(2, 9.0), (4, 0.5)]
    assert client.get_run(half).data.params["steps"] == "3"
    assert client.get_run(half).info.status == "FINISHED"


def test_more_than_a_server_takes_at_once_is_sent_in_parts(
    client, tracking_store, experiment, tmp_path
):
    steps = [*range(1, 1201)]
    column = [0.5] * len(steps)
    curves = {"train": {"step": steps, "seconds": column, "loss": column}}
    hparams = {f"p{i}": i for i in range(120)}
    folder = write(tmp_path / "run", curves=curves, hparams=hparams)
    sent = send_run(str(folder), uri=tracking_store, experiment=experiment)
    assert len(points(client, sent.run_id, "loss")) == len(steps)
    assert len(client.get_run(sent.run_id).data.params) == 121


def test_a_run_that_was_stopped_has_no_model(client, tracking_store, experiment, tmp_path):
    path = saved_model(tmp_path / "m/1", graph("serving_default"))
    folder = write(tmp_path / "run", stopped=True, model_path=str(path))
    sent = send_run(str(folder), uri=tracking_store, experiment=experiment)
    assert client.get_run(sent.run_id).info.status == "KILLED"
    assert files(client, sent.run_id) == ["metrics.json", "report.html"]


def test_an_old_record_and_a_model_of_other_signatures_are_sent_without(
    client, tracking_store, experiment, tmp_path
):
    old = tmp_path / "old"
    old.mkdir()
    (old / "metrics.json").write_text('{"model": "cnn", "steps": 1}')
    sent = send_run(str(old), uri=tracking_store, experiment=experiment)
    run = client.get_run(sent.run_id)
    assert (run.data.params, run.data.metrics) == ({"model": "cnn", "steps": "1"}, {})
    folder = write(tmp_path / "run", model_path=str(saved_model(tmp_path / "m/1", graph("scores"))))
    sent = send_run(str(folder), uri=tracking_store, experiment=experiment)
    assert files(client, sent.run_id) == ["metrics.json", "report.html"]


def test_a_folder_without_a_run_is_a_line(tracking_store, tmp_path):
    with pytest.raises(UserError, match=r"metrics\.json"):
        send_run(str(tmp_path), uri=tracking_store, experiment=None)


def test_a_server_that_is_down_is_a_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match="look whether the server runs; the same command goes on"):
        send_run(str(write(tmp_path / "run")), uri="http://127.0.0.1:1", experiment=None)


def test_without_mlflow_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match=r"--to-mlflow: MLflow is not installed; pip install .*"):
        send_run(str(write(tmp_path / "run")), uri="http://127.0.0.1:1", experiment=None)
