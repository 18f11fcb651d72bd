import dataclasses
import json
from pathlib import Path

import pytest
from drawn_submissions import submissions
from hypothesis import HealthCheck, given, settings

from trainer.config.cluster import Cluster
from trainer.config.flags import add_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.parser import Parser
from trainer.platforms.base import Environment
from trainer.platforms.container_start import ContainerStart
from trainer.platforms.google.container import vertex_container, vertex_containers
from trainer.platforms.google.options import VertexOptions
from trainer.platforms.google.request import custom_job
from trainer.platforms.resolve import resolve_job
from trainer.platforms.submission import Submission

OPTIONS = VertexOptions(project="p")
BASE = "gs://b/data/run-1"
# What Vertex AI sets where the user does not.
FOLDERS = {
    "model_dir": f"{BASE}/model",
    "checkpoint_dir": f"{BASE}/checkpoints",
    "log_dir": f"{BASE}/logs",
    "output_dir": BASE,
    "layout": "flat",
}


def job_in(start: ContainerStart) -> Job:
    """Return the job that a container finds, as `trainer train` resolves it."""
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser, Hparams, Job)
    # Without the mounts of buckets, so that urls stay as they are.
    environment = Environment(env=start.env, argv=start.argv, root=Path("/nowhere"))
    return resolve_job(environment, vars(parser.parse_args([*start.argv]))).job


def expected_job(submission: Submission, found: Job) -> Job:
    """Return the job that was submitted, with what only the platform knows."""
    job, given = submission.job, submission.given
    platform = dict(FOLDERS)
    if "model_dir" in given or "job_dir" in given:
        # The user's own folder is one of versions, as anywhere.
        for name in ("layout", "output_dir"):
            platform.pop(name)
    if "job_dir" in given:
        base = str(job.job_dir).rstrip("/")
        platform = {
            "model_dir": f"{base}/model",
            "checkpoint_dir": f"{base}/checkpoints",
            "log_dir": f"{base}/logs",
            "output_dir": base,
        }
    mine = {name: value for name, value in platform.items() if name not in given}
    if "log_format" not in given:
        mine["log_format"] = "json"
    return dataclasses.replace(
        job, **mine, distribution=submission.strategy, platform="ai-platform",
        cluster=found.cluster, stopped_code=143, grace=25.0, late_evaluators=True,
        secret=submission.secret,
    )  # fmt: skip


@given(submission=submissions("gs://b/data"))
@settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)
def test_every_job_arrives_as_it_was_submitted(submission):
    """Job → request → containers → Job, for every option and strategy."""
    request = custom_job(submission, OPTIONS)
    starts = vertex_containers(request)
    jobs = [job_in(start) for start in starts]
    for job in jobs:
        assert job == expected_job(submission, job)
    places = [(job.cluster.role, job.cluster.index) for job in jobs]
    servers = submission.parameter_servers
    assert places == [
        ("chief", 0),
        *(("worker", i) for i in range(submission.hosts - 1)),
        *(("ps", i) for i in range(servers)),
        *(("evaluator", i) for i in range(submission.evaluators)),
    ]
    (cluster,) = {dataclasses.replace(job.cluster, role="chief", index=0) for job in jobs}
    assert [address.partition(":")[0] for address in addresses(cluster)] == [
        alias for start in starts for alias in start.aliases
    ]


def addresses(cluster: Cluster) -> tuple[str, ...]:
    return cluster.chief + cluster.worker + cluster.ps + cluster.evaluator


@given(submission=submissions("gs://b/data"))
@settings(max_examples=50, suppress_health_check=list(HealthCheck), deadline=None)
def test_variables_arrive_with_every_character(submission):
    for start in vertex_containers(custom_job(submission, OPTIONS)):
        assert {name: start.env[name] for name in submission.env} == submission.env


JOB = Submission(
    job=Job(steps=40), given=frozenset({"steps"}), name="run-1", image="image:cpu",
    output="gs://b/data",
)  # fmt: skip


def test_a_single_replica_has_cluster_spec_but_no_tf_config():
    (start,) = vertex_containers(custom_job(JOB, OPTIONS))
    assert "TF_CONFIG" not in start.env
    spec = json.loads(start.env["CLUSTER_SPEC"])
    assert spec["task"] == {"type": "workerpool0", "index": 0}
    assert spec["cluster"] == {"workerpool0": ["cmle-training-workerpool0-ab12cd34-0:2222"]}


def test_an_evaluator_is_in_no_list_of_tf_config():
    job = dataclasses.replace(
        JOB, hosts=2, parameter_servers=1, evaluators=1, given=JOB.given | {"distribution"},
        job=dataclasses.replace(JOB.job, distribution="parameter_server"),
    )  # fmt: skip
    *_, start = vertex_containers(custom_job(job, OPTIONS))
    config = json.loads(start.env["TF_CONFIG"])
    assert config["task"]["type"] == "evaluator"
    assert [*config["cluster"]] == ["chief", "worker", "ps"]


def test_the_hosts_of_the_reduction_server_train_nothing():
    job = dataclasses.replace(
        JOB, hosts=2, given=JOB.given | {"distribution"},
        job=dataclasses.replace(JOB.job, distribution="horovod"),
    )  # fmt: skip
    options = dataclasses.replace(
        OPTIONS, reduction_servers=2, reduction_server_image="mirror/reducers:1"
    )
    request = custom_job(job, options)
    chief, worker = (job_in(vertex_container(request, pool, 0)).cluster for pool in (0, 1))
    assert (chief.size, worker.size) == (2, 2)
    assert not chief.ps


@pytest.mark.parametrize(
    ("value", "there"),
    [
        ("plain", "plain"),
        ("$(CLOUD_ML_JOB_ID)", "987654321"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
    ],
)
def test_variables_name_others_as_the_service_reads_them(value, there):
    request = custom_job(dataclasses.replace(JOB, env={"A": "x"}), OPTIONS)
    (pool,) = request.spec["workerPoolSpecs"]
    pool["containerSpec"]["env"] += [{"name": "B", "value": value}]
    (start,) = vertex_containers(request)
    assert start.env["B"] == there
