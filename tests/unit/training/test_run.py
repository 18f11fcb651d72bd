"""Whole runs in this process: on local folders, and on those of a store."""

import dataclasses
import io
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from buckets import s3
from made_models import saved_model

from trainer.cli import command_line
from trainer.config import Cluster, Hparams, Job, UserError
from trainer.platforms import ResolvedJob
from trainer.training import mlflow_server
from trainer.training.chosen_checkpoint import chosen_checkpoint
from trainer.training.mlflow_later import send_run
from trainer.training.mlflow_server import ID_FILE
from trainer.training.run import run_job

pytestmark = pytest.mark.tensorflow

HPARAMS = Hparams(model="fast", precision="float32", batch_size=20)


def resolved(folder: str, **fields) -> ResolvedJob:
    fields = {"steps": 4, "model_dir": f"{folder}/model", "hparams": HPARAMS} | fields
    return ResolvedJob(
        job=Job(**fields), platform="local", because="a test says so", sources={},
        notes=("a note of the platform",),
    )  # fmt: skip


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_a_run_ends_with_code_0_and_the_place_of_its_model(tmp_path, capsys):
    assert run_job(resolved(str(tmp_path))) == 0
    out = capsys.readouterr().out
    assert "a note of the platform\n" in out
    assert f"model={tmp_path}/model/1 " in out
    assert out.splitlines()[-1] == f"next: trainer serve --model-dir {tmp_path}/model"
    # A platform that nobody had to find is not said.
    assert "platform=" not in out
    assert (metrics(tmp_path)["steps"], metrics(tmp_path)["stopped"]) == (4, False)


def test_a_run_that_is_asked_to_stop_ends_with_the_platforms_code(tmp_path, monkeypatch, capsys):
    from trainer.training import loop

    begin = loop.log_start

    def stop_at_once(trainer) -> None:
        begin(trainer)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop, "log_start", stop_at_once)
    assert run_job(resolved(str(tmp_path), stopped_code=75, steps=100_000)) == 75
    assert "SIGTERM" in "".join(capsys.readouterr())


def test_what_cannot_be_trained_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="--train /nowhere"):
        run_job(resolved(str(tmp_path), train=("/nowhere",)))
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_only_imports_leaves_the_model_as_its_own(tmp_path, capsys):
    there = tmp_path / "there/1"
    double = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec((None,), name="x")])
    tf.saved_model.save(tf.Module(), str(there), signatures={"serving_default": double})
    job = resolved(str(tmp_path), import_model=True, input=str(there.parent))
    assert run_job(dataclasses.replace(job, platform="sagemaker")) == 0
    out = capsys.readouterr().out
    assert "platform=sagemaker because a test says so\n" in out
    assert "signature=serving_default takes x" in out
    report = json.loads((tmp_path / "import.json").read_text())
    assert report["model_path"] == str(tmp_path / "model/1")
    copied = tmp_path / "model/1/saved_model.pb"
    assert copied.read_bytes() == (there / "saved_model.pb").read_bytes()


def test_what_tensorflow_cannot_load_is_not_imported(tmp_path):
    saved_model(tmp_path / "there/1")
    with pytest.raises(UserError, match="cannot be loaded by TensorFlow"):
        run_job(resolved(str(tmp_path), import_model=True, input=str(tmp_path / "there")))
    assert not list(tmp_path.glob("model/*"))
    with pytest.raises(UserError, match="there is no model"):
        run_job(resolved(str(tmp_path), import_model=True))


def test_a_run_that_only_imports_does_it_on_the_first_host(tmp_path, capsys):
    cluster = Cluster(worker=("a:1", "b:1"), role="worker", index=1)
    job = {"cluster": cluster, "distribution": "horovod", "launched": True, "import_model": True}
    assert run_job(resolved(str(tmp_path), verbosity="DEBUG", **job)) == 0
    assert "import: the first host does it" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Bucket:
    """A store with a run in it.

    Attributes:
        url: Its url.
        fs: A driver.
        code: The exit code of the run.
    """

    url: str
    fs: object
    code: int

    def files(self, folder: str) -> set[str]:
        whole = f"{self.url.removeprefix('s3://')}/{folder}"
        return {path.removeprefix(f"{whole}/") for path in self.fs.find(whole)}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory) -> Iterator[Bucket]:
    """A bucket with a run, its data and its checkpoints of two and four steps."""
    with s3() as (url, fs, env), pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        random = np.random.default_rng(0)
        for split in ("train", "test"):
            images = random.integers(0, 256, (200, 28, 28), np.uint8)
            for kind, array in (
                ("images", images),
                ("labels", np.arange(200, dtype=np.uint8) % 10),
            ):
                file = io.BytesIO()
                np.save(file, array)
                fs.pipe_file(f"bucket/data/{split}_{kind}.npy", file.getvalue())
        yield Bucket(url, fs, run_job(in_store(url)))


def in_store(url: str, **fields) -> ResolvedJob:
    folders = {"checkpoint_dir": f"{url}/run/ckpt", "log_dir": f"{url}/run/logs"}
    fields = {"train": (f"{url}/data",), "checkpoint_every": 2, "eval_every": 4} | fields
    return resolved(f"{url}/run", **folders, **fields)


def test_all_results_of_a_run_follow_to_the_store(bucket):
    assert bucket.code == 0
    assert {"metrics.json", "report.html", "model/1/saved_model.pb"} <= bucket.files("run")
    assert {"ckpt-00000002/state.json", "ckpt-00000004/state.json"} <= bucket.files("run/ckpt")
    assert bucket.files("run/logs")
    record = json.loads(bucket.fs.cat_file("bucket/run/metrics.json"))
    assert record["model_path"] == f"{bucket.url}/run/model/1"
    assert record["data"]["train"]["examples"] == 200


def test_a_run_that_is_complete_is_not_run_again_and_a_longer_one_goes_on(bucket, capsys):
    before = bucket.fs.cat_file("bucket/run/metrics.json")
    assert run_job(in_store(bucket.url)) == 0
    assert bucket.fs.cat_file("bucket/run/metrics.json") == before
    longer = f"{bucket.url}/longer"
    assert run_job(in_store(bucket.url, steps=6, model_dir=f"{longer}/model")) == 0
    assert "resumed at step=4" in capsys.readouterr().out
    assert json.loads(bucket.fs.cat_file("bucket/longer/metrics.json"))["steps"] == 6


@pytest.mark.parametrize(("asked", "step"), [("/2", 2), ("/ckpt-00000004", 4)])
def test_a_checkpoint_is_chosen_in_the_store(bucket, asked, step):
    with chosen_checkpoint(f"{bucket.url}/run/ckpt{asked}") as chosen:
        assert chosen.state.progress.step == step
        assert (chosen.path / "state.json").is_file()
    assert not chosen.path.exists()


def test_the_best_checkpoint_of_a_store_is_chosen_and_none_where_there_is_none(bucket):
    with chosen_checkpoint(f"{bucket.url}/run/ckpt/best") as chosen:
        assert chosen.state.progress.best_step == chosen.state.progress.step
    with (
        pytest.raises(UserError, match="no checkpoint is there"),
        chosen_checkpoint(f"{bucket.url}/data"),
    ):
        pass


def test_a_run_in_the_store_has_a_page_and_is_compared(bucket, capsys):
    url = f"{bucket.url}/run"
    assert command_line.main(["report", url, "--out", f"{bucket.url}/pages/page.html"]) == 0
    assert capsys.readouterr().out == f"{bucket.url}/pages/page.html\n"
    assert b"<title>run" in bucket.fs.cat_file("bucket/pages/page.html")
    assert command_line.main(["report", url, "--csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("run,")


def test_a_run_in_the_store_is_sent_once_to_a_tracking_server(bucket, tracking_store):
    sent = send_run(f"{bucket.url}/run", uri=tracking_store, experiment=None)
    client = mlflow_server.connect(tracking_store)
    assert client.get_run(sent.run_id).data.params["model"] == "fast"
    assert sent.is_new and ID_FILE in bucket.files("run")
    again = send_run(f"{bucket.url}/run", uri=tracking_store, experiment=None)
    assert again == dataclasses.replace(sent, is_new=False)


def test_processes_that_repeat_the_chiefs_lines_log_warnings_alone(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("trainer.training.run.log.begin", lambda level, **_: asked.append(level))
    monkeypatch.setattr("trainer.training.run._do", lambda *_, **__: None)
    cluster = Cluster(worker=("a:1", "b:1"), role="worker", index=1)
    job = {"cluster": cluster, "distribution": "horovod", "launched": True}
    assert run_job(resolved(str(tmp_path), **job)) == 0
    assert run_job(resolved(str(tmp_path), verbosity="DEBUG", **job)) == 0
    assert run_job(resolved(str(tmp_path))) == 0
    assert asked == ["WARN", "DEBUG", "INFO"]
