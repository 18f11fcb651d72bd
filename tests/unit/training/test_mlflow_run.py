"""A run that is sent as it goes, to a real tracking store; without TensorFlow."""

import json
import logging
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from made_models import graph, saved_model

from trainer.training import mlflow_run, mlflow_server
from trainer.training.mlflow_run import MlflowRun, TrackingTarget
from trainer.training.mlflow_server import ID_FILE, METRICS_TAG, KnownRun, digest_of, read_known

pytestmark = pytest.mark.slow


@pytest.fixture
def client(tracking_store):
    return mlflow_server.connect(tracking_store)


@pytest.fixture
def warnings(caplog):
    def read() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]

    caplog.set_level(logging.WARNING, "trainer")
    return read


def begin(uri: str, folder: Path, *, step: int = 0, run_id=None, experiment=None) -> MlflowRun:
    target = TrackingTarget(
        uri=uri, experiment=experiment, run_id=run_id, id_folder=folder,
        remedy="trainer report run",
    )  # fmt: skip
    return MlflowRun(target, step=step)


def kept(folder: Path) -> str:
    known = read_known((folder / ID_FILE).read_bytes())
    assert known is not None
    return known.run_id


def points(client, run_id: str, name: str) -> list[tuple[int, float]]:
    return sorted((p.step, p.value) for p in client.get_metric_history(run_id, name))


def test_parameters_metrics_and_files_of_a_run_arrive(client, tracking_store, tmp_path, warnings):
    (tmp_path / "metrics.json").write_text('{"steps": 4}')
    (tmp_path / "other.txt").write_text("not sent")
    run = begin(tracking_store, tmp_path / "ckpt", experiment="run")
    run.log_params({"model": "fast", "long": "x" * 1000})
    run.log_metrics(2, loss=1.5)
    run.log_metrics(4, loss=0.5, test_accuracy=0.75)
    run.log_files(tmp_path)
    run.close("FINISHED")
    run.keep_id(tmp_path)

    sent = client.get_run(kept(tmp_path / "ckpt"))
    assert client.get_experiment(sent.info.experiment_id).name == "run"
    assert sent.info.status == "FINISHED"
    assert sent.data.params == {"model": "fast", "long": "x" * 500}
    assert points(client, sent.info.run_id, "loss") == [(2, 1.5), (4, 0.5)]
    assert sent.data.metrics["test_accuracy"] == 0.75
    assert [each.path for each in client.list_artifacts(sent.info.run_id)] == ["metrics.json"]
    digest = digest_of(b'{"steps": 4}')
    assert sent.data.tags[METRICS_TAG] == digest
    # Beside the results it says of which server and record the run is.
    known = read_known((tmp_path / ID_FILE).read_bytes())
    assert known == KnownRun(run_id=sent.info.run_id, uri=tracking_store, metrics=digest)
    assert warnings() == []


def test_a_run_that_goes_on_adds_what_is_new(client, tracking_store, tmp_path, warnings):
    first = begin(tracking_store, tmp_path)
    first.log_params({"model": "fast", "steps": 4})
    first.log_metrics(2, loss=1.5)
    first.log_metrics(4, loss=0.5)
    first.close("KILLED")
    # Its checkpoint was older than what it had sent.
    second = begin(tracking_store, tmp_path, step=2)
    second.log_params({"model": "fast", "steps": 8, "seed": 3})
    second.log_metrics(4, loss=9.0)
    second.log_metrics(6, loss=0.25, test_loss=0.5)
    second.close("FINISHED")

    run = client.get_run(kept(tmp_path))
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model": "fast", "steps": "4", "seed": "3"}
    changed = {name: tag for name, tag in run.data.tags.items() if name.startswith("from_step")}
    assert changed == {"from_step_2.steps": "8"}
    assert points(client, run.info.run_id, "loss") == [(2, 1.5), (4, 0.5), (6, 0.25)]
    assert warnings() == []


def test_a_run_from_its_beginning_is_a_new_one(client, tracking_store, tmp_path):
    begin(tracking_store, tmp_path).close("FINISHED")
    first = kept(tmp_path)
    begin(tracking_store, tmp_path).close("FINISHED")
    assert kept(tmp_path) != first


@pytest.mark.parametrize("text", ['{"run_id": "0123456789abcdef0123456789abcdef"}', "{", None])
def test_without_a_run_to_go_on_with_there_is_a_new_one(
    client, tracking_store, tmp_path, warnings, text
):
    if text is not None:
        (tmp_path / ID_FILE).write_text(text)
    run = begin(tracking_store, tmp_path, step=4)
    run.log_metrics(6, loss=0.5)
    run.close("FINISHED")
    assert points(client, kept(tmp_path), "loss") == [(6, 0.5)]
    assert warnings() == []


def test_a_run_that_is_named_is_written_to(client, tracking_store, tmp_path):
    run_id = client.create_run("0").info.run_id
    run = begin(tracking_store, tmp_path, run_id=run_id)
    run.log_metrics(2, loss=1.0)
    run.close("FINISHED")
    assert points(client, run_id, "loss") == [(2, 1.0)]
    assert not (tmp_path / ID_FILE).exists()


def test_a_run_that_is_named_and_not_there_is_one_warning(tracking_store, tmp_path, warnings):
    run = begin(tracking_store, tmp_path, run_id="f" * 32)
    run.log_metrics(2, loss=1.0)
    run.log_files(tmp_path)
    run.close("FINISHED")
    (tmp_path / "metrics.json").write_text("{}")
    run.keep_id(tmp_path)
    (warning,) = warnings()
    assert warning.startswith(f"MLflow at {tracking_store}: nothing more is sent: ")
    assert warning.endswith("; later: trainer report run")
    assert not (tmp_path / ID_FILE).exists()


def test_a_model_is_sent_with_its_signature_and_an_example(client, tracking_store, tmp_path):
    run = begin(tracking_store, tmp_path)
    example = {"inputs": np.array([[0.5, 1.0, 0.0, 0.25]], np.float32)}
    run.log_model(saved_model(tmp_path / "model/1", graph("serving_default")), example)
    run.close("FINISHED")
    here = Path(client.download_artifacts(kept(tmp_path), "model", str(tmp_path)))
    assert (here / "saved_model/variables/variables.index").read_bytes() == b"index"
    described = json.loads((here / "MLmodel").read_bytes())
    (taken,) = json.loads(described["signature"]["inputs"])
    assert taken["tensor-spec"] == {"dtype": "float32", "shape": [-1, 4]}
    served = json.loads((here / described["saved_input_example_info"]["serving_input_path"])
                        .read_bytes())  # fmt: skip
    assert served == {"inputs": {"inputs": [[0.5, 1.0, 0.0, 0.25]]}}


def test_a_model_without_a_default_signature_is_left_out(
    client, tracking_store, tmp_path, warnings
):
    run = begin(tracking_store, tmp_path)
    run.log_model(saved_model(tmp_path / "model", graph("scores")), None)
    run.log_metrics(2, loss=1.0)
    run.close("FINISHED")
    assert client.list_artifacts(kept(tmp_path)) == []
    assert points(client, kept(tmp_path), "loss") == [(2, 1.0)]
    (warning,) = warnings()
    assert "the model is not sent" in warning and "no signature serving_default" in warning


def test_a_server_that_does_not_answer_holds_the_end_up_only_so_long(
    tmp_path, monkeypatch, warnings
):
    monkeypatch.setattr(mlflow_run, "CLOSE_SECONDS", 0.1)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        run = begin(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
        run.close("FINISHED")
        assert warnings() == ["MLflow: not all was sent within 0 s; the rest: trainer report run"]
    run._thread.join()
    assert "nothing more is sent" in warnings()[1]


def test_without_mlflow_a_warning_says_what_to_install(tmp_path, monkeypatch, warnings):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    run = begin("http://127.0.0.1:1", tmp_path)
    run.close("FINISHED")
    (warning,) = warnings()
    assert "pip install 'trainer-anywhere[mlflow]'" in warning
