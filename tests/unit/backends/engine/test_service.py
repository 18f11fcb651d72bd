"""The jobs of an engine, from their start to their removal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from trainer.backends.backend import JobStatus
from trainer.backends.compose.file import ComposeFile
from trainer.backends.compose.service import ComposeService
from trainer.backends.engine.container import EngineContainer
from trainer.backends.engine.job import EngineJob, job_labels
from trainer.backends.engine.service import EngineService, removal, remove_job
from trainer.config.errors import UserError
from trainer.platforms.container_start import ContainerStart

DEADLINE = 30.0

pytestmark = pytest.mark.slow


def job_of(*scripts: str, name: str = "job", place: str = "docker", **more: Any) -> EngineJob:
    """Return a job whose hosts run scripts of a shell, the chief's first."""
    containers = []
    for number, script in enumerate(scripts):
        labels = job_labels(
            name, place=place, host=f"host-{number}", chief=number == 0, model="/out/model",
            report="/out", grace=5,
        )  # fmt: skip
        containers.append(
            EngineContainer(
                start=ContainerStart(
                    name=f"host-{number}",
                    argv=("sh", "-c", script),
                    env={"TOKEN": "5ecret-t0ken", "PLAIN": "a b"},
                ),
                name=f"{name}-{number}",
                image=more.get("image", "trainer:cpu"),
                labels=labels,
                network=more.get("network"),
            )
        )
    return EngineJob(
        name=name, containers=tuple(containers), folders=more.get("folders", ()),
        pull=more.get("pull", "missing"),
    )  # fmt: skip


def ended(service: EngineService, name: str = "job") -> JobStatus:
    end = time.monotonic() + DEADLINE
    while not (status := service.status(name)).is_over:
        assert time.monotonic() < end
    return status


def test_a_job_is_started_followed_listed_and_fetched(engine, tmp_path):
    service = EngineService(engine)
    script = "echo $TOKEN $PLAIN; mkdir -p out/model; echo x > out/model/saved_model.pb"
    folder = tmp_path / "made/here"
    assert service.submit(job_of(f"{script}; echo {{}} > out/metrics.json", folders=(folder,))) == (
        "job"
    )
    assert folder.is_dir()
    status = ended(service)
    assert (status.state, status.exit_code) == ("completed", 0)
    assert [line.text for line in service.logs("job").read()] == ["5ecret-t0ken a b"]
    (summary,) = service.jobs(10)
    assert (summary.name, summary.detail) == ("job", "trainer:cpu, docker")
    assert summary.created <= (status.started or 0) <= (status.ended or 0)
    home = tmp_path / "home"
    home.mkdir()
    for _ in range(2):
        assert service.results("job", home) == []
    assert sorted(p.name for p in home.iterdir()) == ["metrics.json", "model"]
    assert service.page("job") is None


def test_a_failed_job_has_the_line_of_the_host_that_failed(engine):
    service = EngineService(engine)
    service.submit(job_of("sleep 0.1; exit 201", "echo trainer: error: --x: bad; exit 2"))
    status = ended(service)
    assert (status.state, status.exit_code, status.failure) == ("failed", 2, "--x: bad")
    assert service.jobs(1)[0].detail == "trainer:cpu, 2 hosts, docker, exit code 2 of host-1"
    (line,) = service.logs("job").read()
    assert line.host == "host-1"


def test_a_job_is_stopped_and_kept(engine):
    service = EngineService(engine)
    service.submit(job_of("trap 'echo saved; exit 143' TERM; echo up; while :; do sleep 0.1; done"))
    reader, lines, end = service.logs("job"), [], time.monotonic() + DEADLINE
    while "up" not in lines:
        lines += [line.text for line in reader.read()]
        assert time.monotonic() < end
    service.stop("job")
    assert ended(service).state == "stopped"
    assert [line.text for line in reader.read()] == ["saved"]
    # Once more does nothing.
    service.stop("job")


def test_nothing_of_a_job_is_left_when_one_of_its_containers_cannot_be_made(engine, left):
    good, bad = job_of("true").containers, job_of("true", name="x", network="none-such").containers
    service = EngineService(engine)
    with pytest.raises(UserError, match="--network none-such: the engine has no such network"):
        service.submit(EngineJob(name="job", containers=(*good, *bad)))
    assert left() == []


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"image": "far/away:1"}, "--image far/away:1: it cannot be pulled: Get https://far"),
        ({"image": "far/away:1", "pull": "never"}, "--image far/away:1: the engine has no such"),
        ({"pull": "always"}, "--image trainer:cpu: it cannot be pulled"),
        ({"folders": (Path("/proc/none"),)}, "/proc/none: cannot be made"),
    ],
)
def test_what_is_missing_is_named_before_anything_starts(engine, more, text):
    with pytest.raises(UserError, match=text):
        EngineService(engine).submit(job_of("true", **more))


def test_a_name_that_is_taken_is_refused_with_the_command_that_frees_it(engine):
    service = EngineService(engine)
    service.submit(job_of("true"))
    with pytest.raises(UserError, match="the engine has a job of this name; choose another, or"):
        service.submit(job_of("true"))
    ended(service)
    engine("network", "create", "--label", "trainer.job=job", "job_hosts")
    assert removal(engine, "job").endswith("&& docker network rm job_hosts")
    remove_job(engine, "job")
    with pytest.raises(UserError, match="job: the engine has no job of this name"):
        service.status("job")


def test_compose_starts_a_job_that_is_then_the_engines(engine, left):
    service = ComposeService(engine)
    with pytest.raises(UserError, match="this machine starts no services on others"):
        service.submit(ComposeFile(job=job_of("true", place="compose"), several_machines=True))
    service.submit(ComposeFile(job=job_of("echo one", "echo two", place="compose")))
    assert ended(service).state == "completed"
    assert left() == ["job-0", "job-1"]
    assert sorted(line.text for line in service.logs("job").read()) == ["one", "two"]
