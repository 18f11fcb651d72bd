"""The request of another platform, run by an engine of folders and processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trainer.backends.backend import Backend, JobStatus
from trainer.backends.docker.options import DockerOptions
from trainer.backends.engine.client import Engine
from trainer.backends.engine.container import Mount
from trainer.backends.engine.local_run import LocalRun, engine_job, run_on_engine
from trainer.backends.engine.service import EngineService, remove_job
from trainer.backends.inputs import Upload
from trainer.backends.local_jobs import mounted, mounts_of, run_here, shards_of, without_bucket
from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.platforms.container_start import ContainerStart
from trainer.platforms.submission import Submission
from trainer.runtime import StopRequest, log

pytestmark = pytest.mark.slow


def shells(*scripts: str, **more: Any) -> list[ContainerStart]:
    return [
        ContainerStart(
            name=f"host-{n}", argv=("sh", "-c", script), outputs={"/kept": "kept"}, **more
        )
        for n, script in enumerate(scripts)
    ]


@pytest.fixture(autouse=True)
def nothing_is_left(left: Any) -> Iterator[None]:
    yield
    assert left() == []


def test_what_cannot_be_collected_stays_to_be_fetched(engine, left, tmp_path, capfd):
    # Nothing can be made in a file.
    (tmp_path / "out").touch()
    local = LocalRun(
        name="job", place="sagemaker", image="trainer:cpu", folder=tmp_path / "out/job",
        starts=shells("echo a > kept/a"),
    )  # fmt: skip
    log.begin()
    with pytest.raises(OSError, match="out"):
        run_on_engine(engine, local, stop=StopRequest())
    assert "trainer jobs fetch job --on docker brings it" in capfd.readouterr().out
    assert left() == ["job-host-0", "job-hosts"]
    home = tmp_path / "home"
    home.mkdir()
    assert EngineService(engine).results("job", home) == []
    assert (home / "kept/a").read_text() == "a\n"
    remove_job(engine, "job")


def run(engine: Engine, folder: Path, *starts: ContainerStart, stop: Any = None) -> JobStatus:
    local = LocalRun(
        name="job", place="sagemaker", image="trainer:cpu", starts=starts, folder=folder, grace=5,
        others_seconds=0.5,
    )  # fmt: skip
    return run_on_engine(engine, local, stop=stop or StopRequest())


def test_files_go_in_lines_come_out_and_folders_are_collected(engine, tmp_path, capfd):
    script = 'cat opt/x.json; echo \'{"severity": "INFO", "message": "read"}\''
    starts = shells(f"{script}; echo a > kept/a; echo c > kept/b", "echo b > kept/b",
                    files={"/opt/x.json": "content\n"})  # fmt: skip
    status = run(engine, tmp_path / "out", *starts)
    assert status.state == "completed"
    out = capfd.readouterr().out
    assert "[host-0] content\n[host-0] read\n" in out
    # Of two files of one name the chief's counts.
    assert {p.name: p.read_text() for p in (tmp_path / "out/kept").iterdir()} == {
        "a": "a\n", "b": "c\n",
    }  # fmt: skip


def test_one_that_fails_ends_the_others(engine, tmp_path):
    status = run(engine, tmp_path / "out", *shells("exec sleep 600", "exit 7"))
    assert (status.state, status.exit_code) == ("failed", 7)


def test_a_stop_is_sigterm(engine, tmp_path):
    stop = StopRequest()
    stop.set()
    status = run(engine, tmp_path / "out", *shells("exec sleep 600"), stop=stop)
    assert (status.state, status.exit_code) == ("stopped", 143)


def test_what_all_share_is_a_volume_unless_data_is_mounted_there():
    start = ContainerStart(name="a", shared=("/gcs/bucket", "/data"))
    local = LocalRun(
        name="job", place="vertex", image="x", starts=[start], folder=Path("out"),
        mounts=(Mount(source="/here", target="/data"),),
    )  # fmt: skip
    (container,) = engine_job(local).containers
    assert container.mounts == (
        Mount(source="job-shared-1", target="/gcs/bucket", read_only=False, kind="volume"),
        Mount(source="/here", target="/data"),
    )


def test_the_results_of_an_earlier_run_stay(engine, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    with pytest.raises(UserError, match="holds something already"):
        run(engine, tmp_path / "out", *shells("true"))


def upload(folder: Path, *names: str, url: str = "s3://local/data/1") -> Upload:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return Upload(flag="--train", url=url, files={name: folder / name for name in names})


def test_a_whole_folder_is_one_mount_and_some_of_its_files_are_several(tmp_path):
    data = tmp_path / "data"
    sent = upload(data, "a", "b/c")
    assert mounted(sent.files, "/x") == [Mount(source=str(data), target="/x")]
    assert mounted({"b/c": data / "b/c"}, "/x") == [
        Mount(source=str(data / "b/c"), target="/x/b/c")
    ]


def test_inputs_are_mounted_where_the_place_brings_them(tmp_path):
    data = tmp_path / "data"
    sent = upload(data, "a")
    folder = ContainerStart(name="x", inputs={"/in/train": "s3://local/data/1"})
    file = ContainerStart(name="x", inputs={"/in/train": "s3://local/data/1/a"})
    assert mounts_of([folder], [sent]) == [Mount(source=str(data), target="/in/train")]
    assert mounts_of([file], [sent])[0].target.startswith("/in/train")
    with pytest.raises(UserError, match="s3://other: --local brings nothing from stores"):
        mounts_of([ContainerStart(name="x", inputs={"/in": "s3://other"})], [sent])
    bucket = upload(data, "a", url="gs://local/data/1")
    assert mounts_of([], [bucket]) == [Mount(source=str(data), target="/gcs/local/data/1")]


def test_hidden_files_do_not_matter_and_very_many_of_a_folder_are_refused(tmp_path):
    sent = upload(tmp_path / "data", "a", "b")
    (tmp_path / "data/.hidden").touch()
    assert len(mounted(sent.files, "/x")) == 1
    many = {f"{n}.npy": tmp_path / f"data/{n}.npy" for n in range(1001)}
    with pytest.raises(UserError, match="and these are 1001; name the folder"):
        mounted(many, "/x")


def test_of_a_sharded_folder_each_container_sees_other_files(tmp_path):
    sent = upload(tmp_path / "data", "a", "b", "c")
    starts = [
        ContainerStart(name=name, inputs={"/in": "s3://local/data/1"}, sharded=("/in",))
        for name in ("x", "y")
    ]
    assert mounts_of(starts, [sent]) == []
    found = {name: [m.target for m in each] for name, each in shards_of(starts, [sent]).items()}
    assert found == {"x": ["/in/a", "/in/c"], "y": ["/in/b"]}
    local = LocalRun(
        name="job", place="sagemaker", image="x", starts=starts, folder=Path("out"),
        own_mounts=shards_of(starts, [sent]),
    )  # fmt: skip
    assert [len(c.mounts) for c in engine_job(local).containers] == [2, 1]


def backend(**more: Any) -> Backend:
    never: Any = None
    return Backend(
        name="place", options=DockerOptions, connection=(), request=never, forms={}, connect=never,
        **more,
    )  # fmt: skip


def test_a_request_runs_here_with_the_jobs_own_exit_code(engine, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    place = backend(containers=lambda request: shells("exit 3"), limits="some", grace=5)
    job = Submission(job=Job(), given=frozenset(), name="job", image="trainer:cpu")
    here: Any = {"folder": "kept", "client": engine.client, "stop": StopRequest()}
    assert run_here(place, None, job, (), **here) == 3
    assert "trainer: job job failed: exit code 3" in capfd.readouterr().err
    with pytest.raises(UserError, match="it runs on this machine anyway; leave --local out"):
        run_here(backend(), None, job, (), **here)


def test_nobody_needs_a_bucket_to_run_here():
    job = Submission(job=Job(), given=frozenset(), name="job", image="x", output="runs")
    assert without_bucket(backend(local_bucket="s3://local"), job).output == "s3://local"
    assert without_bucket(backend(), job).output == "runs"
