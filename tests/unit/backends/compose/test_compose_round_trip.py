"""Job -> compose file -> what each container is started with -> the same Job."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from engine_jobs import any_flags, assert_same, make_files, submission_of
from hypothesis import HealthCheck, given, settings, strategies as st

from trainer.backends.compose.backend import request
from trainer.backends.compose.options import ComposeOptions
from trainer.backends.engine.container import Mount
from trainer.cli.program import parse
from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.distribution import STRATEGIES, spec_named
from trainer.platforms.base import Environment
from trainer.platforms.resolve import resolve_job

OPTIONS = ComposeOptions(user="1000:1000")
ENV = {"LEVEL": "a \"b\" 'c' $d ${e}", "EMPTY": "", "NUMBER": "1e3", "WORD": "yes"}


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder))
        yield Path(folder)


def services(text: str) -> dict[str, dict[str, Any]]:
    """Read a file as Compose does, which replaces variables in every text."""

    def interpolated(value: Any) -> Any:
        if isinstance(value, str):
            assert "$" not in value.replace("$$", "")
            return value.replace("$$", "$")
        if isinstance(value, dict):
            return {key: interpolated(item) for key, item in value.items()}
        return [interpolated(item) for item in value] if isinstance(value, list) else value

    return interpolated(yaml.safe_load(text))["services"]


def mounts_of(service: dict[str, Any]) -> list[Mount]:
    return [
        Mount(source=v["source"], target=v["target"], read_only=v["read_only"])
        for v in service.get("volumes", ())
    ]


def job_in(service: dict[str, Any], root: Path) -> Job:
    argv = service["command"]
    argv = argv[1:] if argv[:1] == ["train"] else argv
    environment = Environment(env=service["environment"], argv=["train", *argv], root=root)
    return resolve_job(environment, parse(argv)).job


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data(), hosts=st.integers(1, 4), servers=st.integers(0, 2))
def test_every_job_arrives_on_every_host(root, data, hosts, servers):
    flags: dict[str, Any] = data.draw(any_flags(root))
    if flags.get("distribution") != "parameter_server":
        servers = 0
    submission = submission_of(flags, env=ENV, hosts=hosts, parameter_servers=servers)
    found = services(request(submission, OPTIONS).text())
    ranks = []
    for service in found.values():
        assert {name: service["environment"][name] for name in ENV} == ENV
        job = job_in(service, root / "nothing")
        assert_same(job, submission.job, set(flags), mounts_of(service))
        ranks.append(job.cluster.rank)
    assert sorted(ranks)[-hosts:] == [*range(hosts)]


@pytest.mark.parametrize("strategy", [*STRATEGIES])
def test_every_strategy_arrives_on_every_host(strategy, root):
    single = spec_named(strategy).single_process
    hosts = 1 if single else 3
    submission = submission_of({"distribution": strategy}, hosts=hosts)
    found = services(request(submission, OPTIONS).text())
    for name, service in found.items():
        job = job_in(service, root / "nothing")
        assert job.distribution == strategy
        if not single:
            role, _, index = name.rpartition("-")
            assert job.cluster == Cluster(
                chief=("chief-0:2222",),
                worker=("worker-0:2222", "worker-1:2222"),
                ps=("ps-0:2222",) if strategy == "parameter_server" else (),
                role=role,
                index=int(index),
            )


def test_parameter_servers_and_an_evaluator_are_hosts_of_their_own(root):
    submission = submission_of(
        {"distribution": "parameter_server"}, hosts=2, parameter_servers=2, evaluators=1
    )
    found = services(request(submission, OPTIONS).text())
    assert [*found] == ["chief-0", "worker-0", "ps-0", "ps-1", "evaluator-0"]
    job = job_in(found["evaluator-0"], root / "nothing")
    assert job.cluster.role == "evaluator"
    assert job.cluster.evaluator == ("evaluator-0:2222",)


def test_one_file_serves_several_machines(root):
    options = ComposeOptions(user="1000:1000", addresses=("10.0.0.4", "10.0.0.5"), port=2300)
    file = request(submission_of({"distribution": "horovod"}, hosts=2), options)
    found = services(file.text())
    for name, service in found.items():
        assert (service["network_mode"], service["profiles"]) == ("host", [name])
        assert "hostname" not in service
    spec = json.loads(found["worker-0"]["environment"]["TF_CONFIG"])
    assert spec["cluster"] == {"chief": ["10.0.0.4:2300"], "worker": ["10.0.0.5:2300"]}
    assert "# docker compose -p job-1 -f compose.yaml up worker-0" in file.text().splitlines()


def test_as_many_addresses_as_hosts_are_expected(root):
    options = ComposeOptions(addresses=("10.0.0.4",))
    with pytest.raises(UserError, match="expected 2, one for each of chief-0, worker-0"):
        request(submission_of({}, hosts=2), options)


def test_hosts_on_one_machine_have_gpus_of_their_own(root):
    options = ComposeOptions(gpus="2")
    file = request(submission_of({"distribution": "horovod"}, hosts=2), options)
    devices = [
        service["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"]
        for service in services(file.text()).values()
    ]
    assert devices == [["0", "1"], ["2", "3"]]


def test_a_secret_is_not_in_the_file(root):
    file = request(submission_of({}, hosts=2, secret="5ecre7", env={"API_KEY": "v4lue"}), OPTIONS)
    assert "5ecre7" not in file.text()
    assert "v4lue" not in file.text()
    environment = services(file.text())["chief-0"]["environment"]
    assert (environment["TRAINER_SECRET"], environment["API_KEY"]) == (None, None)
    assert file.secrets == {"TRAINER_SECRET": "5ecre7", "API_KEY": "v4lue"}
