"""Job -> docker command, API request -> what the container is started with -> the same Job."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_jobs import any_flags, assert_same, make_files, submission_of
from hypothesis import HealthCheck, given, settings, strategies as st

from trainer.backends.docker.backend import as_command, as_request, request
from trainer.backends.docker.options import DockerOptions
from trainer.backends.engine.container import Mount
from trainer.cli.program import parse
from trainer.config.job import Job
from trainer.distribution import STRATEGIES
from trainer.platforms.base import Environment
from trainer.platforms.resolve import resolve_job

OPTIONS = DockerOptions(user="1000:1000")
ENV = {"LEVEL": "a \"b\" 'c' $d", "EMPTY": ""}


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder))
        yield Path(folder)


def from_command(text: str) -> tuple[dict[str, str], list[str], list[Mount]]:
    """Read commands as a shell and Docker's client do: variables, arguments, mounts."""
    shell = f'mkdir() {{ :; }}; docker() {{ printf "%s\\0" "$@"; }}; {text}'
    ran = subprocess.run(["bash", "-c", shell], capture_output=True, check=True)
    words = ran.stdout.decode().split("\0")[2:-1]
    env, mounts = {}, []
    while words[0].startswith("--"):
        option, value = words[:2]
        words = words[2:]
        if option == "--env":
            env[value.partition("=")[0]] = value.partition("=")[2]
        if option == "--mount":
            (fields,) = csv.reader(io.StringIO(value, newline=""))
            pairs = dict(field.partition("=")[::2] for field in fields)
            mounts.append(
                Mount(source=pairs["source"], target=pairs["target"], read_only="readonly" in pairs)
            )
    assert words[0] == "trainer:cpu"
    return env, words[1:], mounts


def from_request(text: str) -> tuple[dict[str, str], list[str], list[Mount]]:
    """Read a request as the engine does."""
    body = json.loads(text)[0]["body"]
    env = dict(item.partition("=")[::2] for item in body["Env"])
    mounts = [
        Mount(source=m["Source"], target=m["Target"], read_only=m["ReadOnly"])
        for m in body["HostConfig"]["Mounts"]
    ]
    return env, body["Cmd"], mounts


def job_in(env: dict[str, str], argv: list[str], root: Path) -> Job:
    """Return the job that the image's entry point makes of what it was given."""
    argv = argv[1:] if argv[:1] == ["train"] else argv
    environment = Environment(env=env, argv=["train", *argv], root=root)
    return resolve_job(environment, parse(argv)).job


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data(), wanted=st.sampled_from(["command", "request"]))
def test_every_job_arrives_as_it_was_asked_for(root, data, wanted):
    flags: dict[str, Any] = data.draw(any_flags(root))
    job = request(submission_of(flags, env=ENV), OPTIONS)
    text = as_command(job) if wanted == "command" else as_request(job)
    env, argv, mounts = (from_command if wanted == "command" else from_request)(text)
    assert env == ENV
    assert tuple(mounts) == job.containers[0].mounts
    found = job_in(env, argv, root / "nothing")
    assert_same(found, submission_of(flags).job, set(flags), mounts)
    assert found.platform == "local"
    assert found.cluster.size == 1


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_inputs_are_read_only_and_outputs_are_not(root, data):
    flags: dict[str, Any] = data.draw(any_flags(root))
    (container,) = request(submission_of(flags), OPTIONS).containers
    assert {m.target: m.read_only for m in container.mounts} == {
        m.target: m.target.startswith("/input/") for m in container.mounts
    }


@pytest.mark.parametrize("strategy", [*STRATEGIES])
def test_every_strategy_arrives_in_the_container(strategy, root):
    job = request(submission_of({"distribution": strategy}), OPTIONS)
    env, argv, _ = from_request(as_request(job))
    assert job_in(env, argv, root / "nothing").distribution == strategy


def test_a_job_without_flags_trains_all_the_same(root):
    job = request(submission_of({}), OPTIONS)
    assert from_command(as_command(job))[1] == ["train"]
