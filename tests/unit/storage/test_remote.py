import errno
import re
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest

from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.runtime import log
from trainer.storage import drivers, globs, transfer
from trainer.storage.errors import StorageError
from trainer.storage.remote import remove
from trainer.storage.remote_path import RemotePath
from trainer.storage.store_options import StorageLimits, StorageOptions
from trainer.storage.transfer import download_objects, upload_folder
from trainer.storage.urls import is_remote, local_path
from trainer.training.checkpoint_mirror import CheckpointMirror
from trainer.training.staging import staged_locally

pytest.importorskip("fsspec")

# Without waits between tries.
AT_ONCE = StorageOptions(limits=StorageLimits(backoff=0))


class Driver:
    """A store in memory that can be made to fail."""

    def __init__(self, objects):
        self.objects, self.error, self.calls = dict(objects), None, []

    def _call(self, name, path):
        self.calls.append((name, path))
        if self.error:
            raise self.error

    def find(self, bucket, *, prefix, detail, timeout):
        self._call("find", prefix)
        names = [n for n in self.objects if n.startswith(f"{bucket}/{prefix}")]
        return {n: {"size": len(self.objects[n]), "type": "file"} for n in names}

    def info(self, path, *, timeout):
        self._call("info", path)
        if path not in self.objects:
            raise FileNotFoundError(path)
        return {"size": len(self.objects[path]), "type": "file"}

    def get_file(self, path, to, *, callback, timeout):
        Path(to).write_bytes(self.objects[path])
        self._call("get", path)

    def put_file(self, file, path, *, chunksize, callback, timeout):
        self._call("put", path)
        self.objects[path] = Path(file).read_bytes()

    def cat_file(self, path, *, timeout):
        self._call("cat", path)
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path]

    def pipe_file(self, path, data, *, timeout):
        self._call("pipe", path)
        self.objects[path] = data

    def rm_file(self, path, *, timeout):
        self._call("rm", path)
        del self.objects[path]


@pytest.fixture
def driver(monkeypatch):
    driver = Driver({"bucket/d/a": b"aa", "bucket/d/b": b"bb"})
    monkeypatch.setattr(drivers, "DRIVERS", {"s3": ("fake_driver", "Driver", {})})
    module = types.SimpleNamespace(Driver=lambda **settings: driver)
    monkeypatch.setitem(sys.modules, "fake_driver", module)
    return driver


@pytest.mark.parametrize("path", ["s3://b/x", "gs://b/x", "gcs://b/x", "s3://b", "gs://b/*.npy"])
def test_urls_of_object_stores_are_reported(path):
    assert is_remote(path)


@pytest.mark.parametrize("path", ["data", "/data/s3://x", "file:///data", "s3:/b/x", "s3/b", ""])
def test_anything_else_is_not_one(path):
    assert not is_remote(path)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("data/50%25", "data/50%25"),
        ("/data/*.npy", "/data/*.npy"),
        ("file:///data/x", "/data/x"),
        ("file://localhost/data", "/data"),
        ("file://data/x", "data/x"),
        ("file:///my%20set/%C3%BC", "/my set/ü"),
        ("file:/data/x", "/data/x"),
    ],
)
def test_local_urls_become_paths(url, path):
    assert local_path(url, flag="--train") == path


def test_urls_of_other_kinds_are_refused_without_repeating_them():
    line = r"^--train https://…: expected s3://, gs://, file:// or a local path$"
    with pytest.raises(UserError, match=line):
        local_path("https://user:pass@host/x?token=1", flag="--train")


@pytest.mark.parametrize("url", ["s3:/bucket/x", "gs:/bucket/x", "gcs:/bucket/x"])
def test_a_url_without_its_second_slash_is_no_local_folder(url):
    with pytest.raises(UserError, match=f"^--out {url}: a slash is missing; did you mean .*://b"):
        local_path(url, flag="--out")


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "gs://*/x", "s3://a b/x", "gs://-b", "s3://ü"])
def test_malformed_urls_are_refused(url):
    with pytest.raises(UserError) as caught:
        RemotePath(url, flag="--test")
    assert str(caught.value) == (
        f"--test {url}: expected s3://BUCKET/PATH or gs://BUCKET/PATH, no more"
    )


@pytest.mark.parametrize(
    "url", ["s3://AKIA:s3cr3t@b/x", "gs://b/x?token=s3cr3t", "s3://b?a=s3cr3t"]
)
def test_urls_with_secrets_are_refused_without_repeating_them(url):
    with pytest.raises(UserError) as caught:
        RemotePath(url, flag="--test")
    assert str(caught.value) == ("--test: expected s3://BUCKET/PATH or gs://BUCKET/PATH, no more")


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs"), ("gcs", "gcsfs")])
def test_a_missing_package_is_named(monkeypatch, tmp_path, scheme, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"{package}.core", raising=False)
    with pytest.raises(UserError) as caught:
        download_objects([f"{scheme}://bucket/x"], tmp_path)
    assert str(caught.value) == (
        f"--train {scheme}://bucket/x: needs {package}: pip install 'trainer-anywhere[cloud]'"
    )


def test_nothing_is_imported_or_made_for_local_paths(tmp_path):
    program = """
import sys, tempfile
from trainer.config.job import Job
from trainer.training.staging import staged_locally
tempfile.TemporaryDirectory = None
job = Job(train=("file:///a%20b", "c"), test=("d",), model_dir="file:///m", checkpoint_dir="e")
with staged_locally(job) as stage:
    assert stage.job.train == ("/a b", "c"), stage.job
    assert stage.job.test == ("d",)
    assert (stage.job.model_dir, stage.job.checkpoint_dir) == ("/m", "e")
    assert (stage.job.output_dir, stage.job.log_dir) == (None, None)
    stage.destination.checkpoint_written()
    assert stage.destination.model_written("/m/1") == "/m/1"
    stage.destination.finish()
assert not {"fsspec", "s3fs", "gcsfs", "tensorflow", "numpy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_errors_say_nothing_that_the_driver_says(driver, tmp_path):
    driver.error = RuntimeError("at https://host/d?X-Amz-Signature=s3cr3t\nand more")
    with pytest.raises(StorageError) as caught:
        download_objects(["s3://bucket/d"], tmp_path, options=AT_ONCE)
    assert str(caught.value) == ("--train s3://bucket/d: failed 4 times, at last with RuntimeError")
    assert len(driver.calls) == StorageLimits().tries


def test_what_no_further_try_mends_is_reported_at_once(driver, tmp_path):
    driver.error = PermissionError("s3cr3t")
    with pytest.raises(UserError, match=r"^--train s3://bucket/d: access is denied \(Permission"):
        download_objects(["s3://bucket/d"], tmp_path)
    assert len(driver.calls) == 1


def test_waits_grow_between_tries(driver):
    waits = []
    stop = types.SimpleNamespace(is_set=lambda: False, wait=waits.append)
    driver.error = ConnectionResetError()
    options = StorageOptions(limits=StorageLimits(backoff=1.0))
    with pytest.raises(StorageError, match="at last with ConnectionResetError"):
        RemotePath("s3://bucket/d", flag="--train", options=options, stop=stop).contents()
    assert waits == [1.0, 2.0, 4.0]


def test_transfers_are_bounded_in_time_by_their_size(driver, tmp_path):
    given, get = [], driver.get_file

    def note(*args, timeout, **more):
        given.append(timeout)
        get(*args, timeout=timeout, **more)

    driver.objects, driver.get_file = {"bucket/d": bytes(StorageLimits().slowest * 3)}, note
    download_objects(["s3://bucket/d"], tmp_path)
    assert given == [StorageLimits().answer + 3]


def test_a_transfer_that_fails_ends_those_under_way(driver, tmp_path):
    begun, ended = threading.Event(), []

    def get(path, to, *, callback, timeout):
        if path.endswith("a"):
            assert begun.wait(30)
            raise PermissionError
        begun.set()
        until = time.monotonic() + 30
        try:
            while time.monotonic() < until:
                callback.relative_update(1)
        except InterruptedError:
            ended.append(path)
            raise

    driver.get_file = get
    with pytest.raises(UserError, match="d/a: access is denied"):
        download_objects(["s3://bucket/d"], tmp_path)
    assert ended == ["bucket/d/b"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_reported(driver, tmp_path, number):
    def fails(path, to, **more):
        Path(to).write_bytes(b"a")
        raise OSError(number, "No space left on device")

    driver.get_file = fails
    with pytest.raises(UserError, match=r"^--train s3://bucket/d/.: the local disk is full"):
        download_objects(["s3://bucket/d"], tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_disk_that_is_too_small_is_reported_first(driver, tmp_path, monkeypatch):
    driver.objects = {"bucket/d/a": b"", "bucket/d/b": bytes(5_000_000)}
    usage = types.SimpleNamespace(free=2_000_000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError) as caught:
        download_objects(["s3://bucket/d"], tmp_path, flag="--test")
    assert str(caught.value) == (
        f"--test s3://bucket/d: takes 5 MB of disk, but {tmp_path} has 2 MB left; "
        "take a larger disk"
    )
    assert ("get", "bucket/d/a") not in driver.calls


@pytest.mark.parametrize(
    "names", [["../x"], ["a//b"], ["./a"], ["/etc"], ["a/..", "b"], ["a", "a/b"], ["a", "a/b/c"]]
)
def test_objects_that_cannot_be_files_are_refused(driver, tmp_path, names):
    driver.objects = {f"bucket/d/{name}": b"1" for name in names}
    with pytest.raises(UserError, match=r"^--train s3://bucket/d: 'd/.*' cannot be a local file$"):
        download_objects(["s3://bucket/d"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_goes_away_meanwhile_is_reported(driver, tmp_path):
    def gone(path, to, **more):
        raise FileNotFoundError(path)

    driver.get_file = gone
    with pytest.raises(UserError, match=r"^--train s3://bucket/d/a: it was removed meanwhile$"):
        download_objects(["s3://bucket/d/a"], tmp_path)


def test_a_long_transfer_is_reported_every_few_seconds(driver, tmp_path, capsys):
    options = StorageOptions(limits=StorageLimits(progress=0, workers=1, poll=0))
    download_objects(["s3://bucket/d"], tmp_path, options=options)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("--train fetched files=2 of=2 mb=")
    assert all(line.startswith("--train fetched files=") for line in lines)


def test_a_whole_bucket_is_never_removed(driver):
    with pytest.raises(ValueError, match="a whole bucket is not removed"):
        remove("s3://bucket/")
    assert len(driver.objects) == 2


def test_metrics_go_beside_the_model_folder_unless_another_is_given(driver, tmp_path):
    for model_dir, expected in [
        ("s3://bucket/run/model", "bucket/run/metrics.json"),
        ("s3://bucket/model/", "bucket/metrics.json"),
        ("s3://bucket", "bucket/metrics.json"),
    ]:
        driver.objects.clear()
        with staged_locally(Job(model_dir=model_dir), scratch=tmp_path) as stage:
            folder = Path(stage.job.output_dir)
            folder.mkdir()
            (folder / "metrics.json").write_text("{}")
            stage.destination.finish()
        assert list(driver.objects) == [expected]


def test_the_temporary_folder_goes_even_when_training_fails(driver, tmp_path):
    job = Job(train=("s3://bucket/d",))
    with pytest.raises(RuntimeError), staged_locally(job, scratch=tmp_path) as stage:
        assert list(tmp_path.iterdir()) != []
        assert sorted(p.name for p in Path(stage.job.train[0]).iterdir()) == ["a", "b"]
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_cannot_be_sent_is_an_error(driver, tmp_path):
    mirror = CheckpointMirror(tmp_path, "s3://bucket/ckpt", options=AT_ONCE)
    (tmp_path / "ckpt-00000001").mkdir()
    (tmp_path / "ckpt-00000001" / "state.json").write_text("{}")
    driver.error = ConnectionError()
    with pytest.raises(StorageError, match=r"^--checkpoint-dir s3://bucket/ckpt/ckpt-00000001"):
        mirror.sync()
    driver.error = None
    mirror.sync()
    assert "bucket/ckpt/ckpt-00000001/state.json" in driver.objects


@pytest.mark.parametrize("name", ["run[1]", "lr*", "a?b", "**"])
def test_an_object_a_folder_or_a_model_with_wildcards_in_its_name_is_meant_literally(
    driver, tmp_path, name
):
    driver.objects = {f"bucket/{name}/x": b"1", "bucket/run1/x": b"2", "bucket/lrs/x": b"3"}
    assert RemotePath(f"s3://bucket/{name}", flag="--train").find() == {f"{name}/x": 1}
    assert RemotePath(f"s3://bucket/{name}/*", flag="--train").find() == {f"{name}/x": 1}
    assert RemotePath(f"s3://bucket/{name}/x", flag="--train").find() == {f"{name}/x": 1}
    url = RemotePath(f"s3://bucket/{name}", flag="--model-dir")
    assert url.find(patterns=False) == {f"{name}/x": 1}


def test_a_glob_of_a_store_becomes_the_same_glob_on_disk(driver, tmp_path):
    names = ["run[1]/train-0", "run[1]/test-0", "run[1]/deep/train-1", "run1/train-2"]
    names += ["run[1]/_SUCCESS", "run[1]/_temporary/0/train-3", "run[1]/.crc"]
    driver.objects = {f"bucket/{name}": b"1" for name in names}
    (path,) = download_objects(["s3://bucket/run[1]/*"], tmp_path)
    folder = tmp_path / "s3/bucket/run[1]"
    assert path == str(folder / "*")
    assert globs.find(Path(path)) == [folder / "deep", folder / "test-0", folder / "train-0"]
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == [
        "test-0",
        "train-0",
        "train-1",
    ]


def test_what_is_no_data_is_neither_fetched_nor_in_the_way(driver, tmp_path):
    names = ["train/a", "train_$folder$", "_temporary/0/b", "model/1/saved_model.pb", "README.md"]
    names += ["model/1/variables/variables.data-00000-of-00001", "ckpt-00000001/state.json"]
    names += ["ckpt-00000001/variables.data-00000-of-00001"]
    driver.objects = {f"bucket/d/{name}": b"1" for name in names} | {"bucket/d/train": b""}
    for path in ("s3://bucket/d", "s3://bucket/d/*", "s3://bucket/*"):
        with staged_locally(Job(train=(path,), test=(path,)), scratch=tmp_path) as stage:
            assert [f.name for f in tmp_path.rglob("*") if f.is_file()] == ["a"]
            assert [t for t in stage.job.train if not globs.find(Path(t))] == []
    # A module of one's own reads what it likes.
    with staged_locally(Job(train=("s3://bucket/d",), module="mine"), scratch=tmp_path):
        assert len([f for f in tmp_path.rglob("*") if f.is_file()]) == len(names)
    driver.objects = {"bucket/d/x.xml": b"1", "bucket/d/_SUCCESS": b""}
    held = r"^--train s3://bucket/d: holds only _SUCCESS, x.xml, of which nothing is read$"
    with pytest.raises(UserError, match=held), staged_locally(Job(train=("s3://bucket/d",))):
        pass


def test_what_is_written_or_served_is_never_a_glob(driver, tmp_path):
    with pytest.raises(UserError, match=r"d\*/: nothing is there; expected a folder$"):
        download_objects(["s3://bucket/d*/"], tmp_path, flag="--model-dir", patterns=False)


def checkpoint(driver, step: int) -> None:
    state = b'{"progress": {"step": %d}, "files": {"data": 1}, "variables": []}' % step
    name = f"bucket/ckpt/ckpt-{step:08d}"
    driver.objects |= {f"{name}/data": b"1", f"{name}/state.json": state}


def forget(driver, step: int) -> None:
    for name in [name for name in driver.objects if f"ckpt-{step:08d}" in name]:
        del driver.objects[name]


def test_a_checkpoint_that_goes_while_it_is_fetched_is_passed_over(driver, tmp_path):
    checkpoint(driver, 1)
    checkpoint(driver, 2)
    get = driver.get_file

    def slow(path, to, **more):
        if "ckpt-00000001" in path:
            forget(driver, 1)
        get(path, to, **more)

    driver.get_file = slow
    mirror = CheckpointMirror(tmp_path, "s3://bucket/ckpt", options=AT_ONCE)
    mirror.restore()
    assert [path.name for path in tmp_path.iterdir()] == ["ckpt-00000002"]
    # One that was fetched and is kept no longer goes here as well.
    checkpoint(driver, 3)
    forget(driver, 2)
    mirror.restore()
    assert [path.name for path in tmp_path.iterdir()] == ["ckpt-00000003"]


def test_a_damaged_checkpoint_is_fetched_once_and_replaced_when_the_run_gets_there(
    driver, tmp_path, capsys
):
    for step in (1, 2):
        checkpoint(driver, step)
    driver.objects["bucket/ckpt/ckpt-00000002/data"] = b"12"
    driver.objects["bucket/ckpt/ckpt-00000002/more"] = b"3"
    mirror = CheckpointMirror(tmp_path, "s3://bucket/ckpt", options=AT_ONCE)
    mirror.restore()
    mirror.restore()
    lines = capsys.readouterr().out.splitlines()
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert warnings == [
        "warning: --checkpoint-dir s3://bucket/ckpt: passed over ckpt-00000002: data: has 2 bytes, "
        "1 were written"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["ckpt-00000001"]
    (tmp_path / "ckpt-00000002").mkdir()
    (tmp_path / "ckpt-00000002/state.json").write_text("new")
    mirror.sync()
    there = {name for name in driver.objects if "ckpt-00000002" in name}
    assert there == {"bucket/ckpt/ckpt-00000002/state.json"}


@pytest.mark.parametrize("alone", [True, False], ids=["chief", "evaluator"])
def test_remote_checkpoints_that_are_all_damaged_are_reported_to_who_writes_them(
    driver, tmp_path, alone
):
    for step in (1, 2):
        checkpoint(driver, step)
        driver.objects[f"bucket/ckpt/ckpt-{step:08d}/state.json"] = b"{"
    mirror = CheckpointMirror(tmp_path, "s3://bucket/ckpt", options=AT_ONCE, alone=alone)
    if not alone:
        mirror.restore()
        assert list(tmp_path.iterdir()) == []
        return
    line = r"^--checkpoint-dir s3://bucket/ckpt: all 2 checkpoints are damaged \(ckpt-00000002: "
    with pytest.raises(UserError, match=line):
        mirror.restore()


def test_what_cannot_be_fetched_though_it_is_there_is_an_error(driver, tmp_path):
    checkpoint(driver, 1)
    driver.get_file = lambda *_, **__: (_ for _ in ()).throw(ConnectionError())
    with pytest.raises(StorageError):
        CheckpointMirror(tmp_path, "s3://bucket/ckpt", options=AT_ONCE).restore()


def test_an_evaluator_fetches_the_last_checkpoint_though_asked_to_end_and_sends_its_log(
    driver, tmp_path
):
    listed = {"chief": ("a",), "worker": ("b",), "ps": ("c",)}
    job = Job(
        checkpoint_dir="s3://bucket/ckpt",
        log_dir="s3://bucket/logs",
        model_dir="s3://bucket/model",
        cluster=Cluster(**listed, role="evaluator"),
    )
    with staged_locally(job, scratch=tmp_path, stopped=lambda: True) as stage:
        checkpoint(driver, 7)
        stage.refresh()
        assert (Path(stage.job.checkpoint_dir) / "ckpt-00000007" / "data").read_bytes() == b"1"
        for folder in (stage.job.log_dir, stage.job.model_dir):
            Path(folder).mkdir()
            (Path(folder) / "events").write_text("e")
        (Path(stage.job.checkpoint_dir) / "ckpt-00000008").mkdir()
        before = set(driver.objects)
        stage.destination.checkpoint_written()
        stage.destination.finish()
        assert set(driver.objects) - before == {"bucket/logs/events"}


@pytest.mark.slow
def test_a_file_that_is_still_written_is_sent_again(driver, tmp_path):
    """What arrives is compared with the file's size when it was sent."""
    file = tmp_path / "events"
    file.write_bytes(b"1")
    put = driver.put_file

    def grows(path, *args, **more):
        if file.stat().st_size < 3:
            file.write_bytes(file.read_bytes() + b"1")
        put(path, *args, **more)

    driver.put_file = grows
    upload_folder(file, "s3://bucket/logs")
    assert driver.objects["bucket/logs/events"] == b"111"


def test_each_request_is_one_debug_line_of_verb_url_and_result(driver, tmp_path, capsys):
    log.begin("DEBUG")
    download_objects(["s3://bucket/d"], tmp_path)
    place = RemotePath("s3://bucket/d", flag="--model-dir")
    assert place.read_small("none") is None
    place.write_small("c", b"ccc")
    place.delete("c")
    lines = re.findall(
        r"trainer: debug: storage\.retries: (.*) in \d+\.\d\d s", capsys.readouterr().err
    )
    assert sorted(lines[2:4]) == ["GET s3://bucket/d/a 2 bytes", "GET s3://bucket/d/b 2 bytes"]
    assert lines[:2] + lines[4:] == [
        "HEAD s3://bucket/d was not there",
        "LIST s3://bucket/d/* 2 objects",
        "GET s3://bucket/d/none was not there",
        "PUT s3://bucket/d/c 3 bytes",
        "DELETE s3://bucket/d/c done",
    ]


def test_each_try_is_a_debug_line_that_says_nothing_of_what_the_driver_says(driver, capsys):
    log.begin("DEBUG")
    driver.error = ConnectionResetError("https://host/x?signature=s3cr3t")
    with pytest.raises(StorageError):
        RemotePath("s3://bucket/d", flag="--train", options=AT_ONCE).contents()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == AT_ONCE.limits.tries
    failed = re.compile(
        r"trainer: debug: storage\.retries: "
        r"LIST s3://bucket/d/\* failed with ConnectionResetError in \d+\.\d\d s"
    )
    assert all(map(failed.fullmatch, lines))
