"""The whole program with all of its folders in object stores, over real connections."""

import json
import threading
from pathlib import Path

import pytest
import tensorflow as tf
from buckets import gs, s3
from processes import trainer, weights


@pytest.mark.parametrize("store", [s3, gs])
def test_data_model_checkpoints_logs_and_metrics_may_all_be_remote(
    store, tfrecords: Path, tmp_path: Path
):
    with store() as (bucket, fs, env):
        for split in ("train", "test"):
            for file in (tfrecords / split).iterdir():
                fs.put_file(str(file), f"{bucket}/data/{split}/{file.name}")
        argv = ["train", "--model", "fast", "--train", f"{bucket}/data"]
        argv += ["--job-dir", f"{bucket}/job", "--checkpoint-every", "10"]
        first = trainer(*argv, "--steps", "20", env=env)
        assert first.returncode == 0, first.stdout + first.stderr
        assert first.stdout.splitlines()[-5].startswith(f"model={bucket}/job/model/1 ")
        again = trainer(*argv, "--steps", "30", env=env)
        assert "resumed at step=20" in again.stdout, again.stdout + again.stderr

        report = fs.cat_file(f"{bucket}/job/metrics.json")
        finished = trainer(*argv, "--steps", "30", env=env)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        assert (
            "nothing left to train: the checkpoint has 30 steps, 30 are asked for; their model is "
            f"{bucket}/job/model/2, and nothing new is exported" in finished.stdout.splitlines()
        )
        assert fs.cat_file(f"{bucket}/job/metrics.json") == report
        assert not fs.exists(f"{bucket}/job/model/3")

        found = {name.partition("/job/")[2] for name in fs.find(f"{bucket}/job")}
        assert {
            "model/1/saved_model.pb",
            "model/2/saved_model.pb",
            "checkpoints/ckpt-00000030/state.json",
            "metrics.json",
        } <= found
        assert not [name for name in found if name.endswith(".trainer-lock")]
        assert [name for name in found if name.startswith("logs/events.out.tfevents")]
        metrics = json.loads(fs.cat_file(f"{bucket}/job/metrics.json"))
        assert (metrics["steps"], metrics["model_path"]) == (30, f"{bucket}/job/model/2")
        fs.get(f"{bucket}/job/model/2/", str(tmp_path / "model"), recursive=True)
        served = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
        assert served(image_input=tf.zeros((1, 28, 28, 1)))["classes"].shape == (1,)


def test_a_bucket_that_is_not_there_is_one_line(tmp_path: Path):
    with s3() as (_, _, env):
        ran = trainer(
            *("train", "--train", "s3://nowhere/data", "--test", "s3://nowhere/data"),
            *("--model-dir", str(tmp_path / "model")),
            env=env,
        )
    assert ran.returncode == 2
    assert ran.stderr.startswith("trainer: error: --train s3://nowhere/data")
    assert ran.stderr.count("\n") == 1


def test_a_second_job_in_a_remote_folder_is_refused(tmp_path: Path):
    """The first is played: an object that changes."""
    with s3() as (bucket, fs, env):
        ended = threading.Event()

        def beat() -> None:
            number = 0
            while not ended.wait(0.2):
                number += 1
                owner = {"pid": 7, "host": "algo-9", "token": "theirs", "beat": number}
                fs.pipe_file(f"{bucket}/job2/checkpoints/.trainer-lock", json.dumps(owner).encode())

        first = threading.Thread(target=beat)
        first.start()
        try:
            ran = trainer("train", "--steps", "2", "--job-dir", f"{bucket}/job2", env=env)
        finally:
            ended.set()
            first.join(60)
        assert ran.returncode == 2, ran.stdout + ran.stderr
        line = f"trainer: error: --checkpoint-dir {bucket}/job2/checkpoints: in use by another job"
        assert ran.stderr.startswith(f"{line}: process 7 on algo-9, since ")
        assert not fs.find(f"{bucket}/job2/model")


@pytest.mark.parametrize("layout", ["servo", "tar", "flat"])
def test_a_model_is_imported_from_one_remote_folder_to_another(layout: str, tmp_path: Path):
    holder = tf.Module()
    holder.twice = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec((None,))])
    tf.saved_model.save(holder, str(tmp_path / "1"), signatures=holder.twice)
    with s3() as (bucket, fs, env):
        bucket = f"{bucket}/{layout}"
        fs.put(str(tmp_path / "1"), f"{bucket}/in/1", recursive=True)
        fs.pipe_file(f"{bucket}/in/code/inference.py", b"#")
        fs.pipe_file(f"{bucket}/out/model/export/Servo/7/saved_model.pb", b"an older one")
        argv = ["train", "--import", "--input", f"{bucket}/in", "--layout", layout]
        ran = trainer(*argv, "--model-dir", f"{bucket}/out/model", env=env)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        found = {name.partition("/out/")[2] for name in fs.find(f"{bucket}/out")}
        expected = {
            "servo": {"model/export/Servo/8/saved_model.pb", "model/code/inference.py"},
            "flat": {"model/saved_model.pb", "model/code/inference.py"},
            "tar": {"model/model.tar.gz"},
        }
        assert {"import.json", *expected[layout]} <= found
        assert fs.cat_file(f"{bucket}/out/model/export/Servo/7/saved_model.pb") == b"an older one"
        report = json.loads(fs.cat_file(f"{bucket}/out/import.json"))
        place = {"servo": "/export/Servo/8", "tar": "/model.tar.gz", "flat": ""}[layout]
        assert report["model_path"] == f"{bucket}/out/model{place}"


@pytest.mark.parametrize("store", [s3, gs])
def test_a_remote_checkpoint_becomes_a_remote_model(store, tmp_path: Path):
    with store() as (bucket, fs, env):
        ran = trainer(
            *("train", "--model", "fast", "--steps", "4", "--checkpoint-every", "2"),
            *("--checkpoint-dir", f"{bucket}/ckpt", "--model-dir", str(tmp_path / "model")),
            env=env,
        )
        assert ran.returncode == 0, ran.stderr
        ran = trainer(
            *("export", "--checkpoint", f"{bucket}/ckpt/4", "--model-dir", f"{bucket}/exported"),
            env=env,
        )
        assert (ran.returncode, ran.stdout) == (0, f"{bucket}/exported/1\n"), ran.stderr
        with fs.open(f"{bucket}/exported/1/variables/variables.data-00000-of-00001", "rb") as file:
            assert file.read() == weights(tmp_path / "model")
        missing = trainer(
            *("export", "--checkpoint", f"{bucket}/ckpt/3", "--model-dir", f"{bucket}/exported"),
            env=env,
        )
        assert missing.returncode == 2
        assert missing.stderr.endswith("there is no ckpt-00000003; the steps there are 2, 4\n")
