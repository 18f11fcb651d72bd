import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from drawn_submissions import submissions
from hypothesis import HealthCheck, given, settings, strategies as st
from kubernetes_schemas import check_manifest

from trainer.config.errors import UserError
from trainer.config.flags import add_flags, job_from_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.parser import Parser
from trainer.platforms.container_start import ContainerStart
from trainer.platforms.kubernetes.container import kubernetes_containers
from trainer.platforms.kubernetes.options import KubernetesOptions
from trainer.platforms.kubernetes.request import KubernetesRequest, kubernetes_request
from trainer.platforms.resolve import resolve_job
from trainer.platforms.submission import Submission, given_options

FLAVORS = ("job", "jobset", "trainjob")
ANY = KubernetesOptions()
# Every option, so that each lands where the schema wants it.
ALL = KubernetesOptions(
    context="prod",
    namespace="vision",
    retries=1,
    queue="team-a",
    priority_class="low",
    annotations=("sidecar.istio.io/inject=false",),
    cpu="3500m",
    memory="8Gi",
    gpus=2,
    shm="2Gi",
    node_selector=("pool=gpu",),
    toleration=("nvidia.com/gpu", "spot=true:NoSchedule", "old=:NoExecute"),
    volume=("digits:/data:ro", "runs:/runs", "runs:/more"),
    env_from=("secret/aws", "configmap/settings"),
    env_secret=("TOKEN=hub:token",),
    image_pull_policy="Always",
    image_pull_secret=("registry",),
    service_account="trainer",
    run_as_user=1000,
    grace=600,
)


def submission(hosts: int = 2, **more: Any) -> Submission:
    values = more.pop("values", {"steps": 10})
    defaults = {"name": "mnist", "image": "trainer:cpu", "output": "s3://bucket/runs"}
    return Submission(
        job=job_from_flags(values), given=given_options(values), hosts=hosts, **{**defaults, **more}
    )


def mistake(options: KubernetesOptions = ANY, **more: Any) -> str:
    with pytest.raises(UserError) as error:
        kubernetes_request(submission(**more), options)
    assert "\n" not in str(error.value)
    return str(error.value)


def of_kind(request: KubernetesRequest, kind: str) -> dict[str, Any]:
    return next(manifest for manifest in request.manifests if manifest["kind"] == kind)


# The round trip


def job_in(start: ContainerStart) -> Job:
    """Return the job that a container finds, as `trainer train` resolves it."""
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser, Hparams, Job)
    with tempfile.TemporaryDirectory() as root:
        environment = start.environment(Path(root))
        return resolve_job(environment, vars(parser.parse_args([*start.argv]))).job


def expected_job(sent: Submission, found: Job) -> Job:
    """Return the job that was submitted, with what only the platform knows."""
    base = f"{sent.output}/{sent.name}"
    folders: dict[str, Any] = {}
    if not {"job_dir", "model_dir"} & sent.given:
        folders["job_dir"] = base
    job_dir = folders.get("job_dir") or (sent.job.job_dir if "job_dir" in sent.given else None)
    if job_dir:
        below = {"model_dir": "/model", "checkpoint_dir": "/checkpoints", "log_dir": "/logs"}
        below["output_dir"] = ""
        named = {name: job_dir.rstrip("/") + folder for name, folder in below.items()}
        folders |= {name: value for name, value in named.items() if name not in sent.given}
    several = sent.hosts + sent.parameter_servers + sent.evaluators > 1
    return dataclasses.replace(
        sent.job,
        **folders,
        platform="kubernetes",
        cluster=found.cluster,
        distribution=found.distribution,
        grace=115.0,
        secret=sent.secret if several else None,
    )


@pytest.mark.parametrize("flavor", FLAVORS)
@given(sent=submissions("s3://bucket/runs"))
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_each_pod_finds_the_job_that_was_submitted(flavor: str, sent: Submission):
    if flavor == "trainjob":
        # All its pods do the same.
        sent = dataclasses.replace(sent, parameter_servers=0, evaluators=0)
    request = kubernetes_request(sent, dataclasses.replace(ANY, flavor=flavor))
    for manifest in request.manifests:
        check_manifest(manifest)
    found = [job_in(start) for start in kubernetes_containers(request)]
    assert all(job == expected_job(sent, job) for job in found)
    assert {job.distribution for job in found} == {sent.strategy}
    roles = [job.cluster.role for job in found]
    assert roles == [
        "chief",
        *["worker"] * (sent.hosts - 1),
        *["ps"] * sent.parameter_servers,
        *["evaluator"] * sent.evaluators,
    ]
    # All have the same list, in which each finds itself.
    own = {getattr(job.cluster, job.cluster.role)[job.cluster.index] for job in found}
    assert len(own) == len(found)
    lists = {dataclasses.replace(job.cluster, role="chief", index=0) for job in found}
    assert len(lists) == 1


@pytest.mark.parametrize("flavor", FLAVORS)
def test_the_names_of_pods_are_those_by_which_others_reach_them(flavor):
    request = kubernetes_request(submission(3), dataclasses.replace(ANY, flavor=flavor))
    starts = kubernetes_containers(request)
    listed = job_in(starts[0]).cluster.trainers
    assert [start.aliases for start in starts] == [(address,) for address in listed]


# The manifests


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("options", [ANY, ALL])
@pytest.mark.parametrize("hosts", [1, 3])
def test_manifests_are_those_of_the_published_schemas(flavor, options, hosts):
    sent = submission(hosts, tags={"team": "a"}, env={"A": "b"}, secret="s3cret", max_seconds=60)
    request = kubernetes_request(sent, dataclasses.replace(options, flavor=flavor))
    for manifest in request.manifests:
        check_manifest(manifest)
        assert manifest["metadata"]["name"] == "mnist"
        assert manifest["metadata"].get("namespace") == options.namespace
        assert manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "trainer"


def test_the_check_of_schemas_finds_what_does_not_fit():
    job = of_kind(kubernetes_request(submission(), ANY), "Job")
    with pytest.raises(AssertionError, match=r"no such fields: \.spec\.completion$"):
        check_manifest({**job, "spec": {**job["spec"], "completion": 3}})
    with pytest.raises(ValueError, match="completions"):
        check_manifest({**job, "spec": {**job["spec"], "completions": "3"}})


def test_a_mistake_of_the_users_ends_the_job_and_an_evicted_pod_is_not_counted():
    spec = of_kind(kubernetes_request(submission(2), ANY), "Job")["spec"]
    first, second = spec["podFailurePolicy"]["rules"]
    assert first["action"] == "FailJob"
    assert 2 in first["onExitCodes"]["values"]
    assert not {143, 200, 201} & {*first["onExitCodes"]["values"]}
    assert second["action"] == "Ignore"
    assert spec["backoffLimit"] == 2 * 3
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_pods_that_meet_have_a_service_before_they_are_ready_and_one_alone_has_none():
    request = kubernetes_request(submission(2), ANY)
    service = of_kind(request, "Service")["spec"]
    pod = of_kind(request, "Job")["spec"]["template"]
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"]
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["subdomain"] == "mnist"
    assert [m["kind"] for m in kubernetes_request(submission(1), ANY).manifests] == ["Job"]


def test_the_key_of_the_hosts_is_in_no_manifest():
    request = kubernetes_request(submission(2, secret="s3cret-of-mine"), ANY)
    assert "s3cret-of-mine" not in json.dumps(request.manifests)
    assert "s3cret-of-mine" not in repr(request)
    assert request.secret == "s3cret-of-mine"
    env = of_kind(request, "Job")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {
        "name": "TRAINER_SECRET",
        "valueFrom": {"secretKeyRef": {"name": "mnist", "key": "value"}},
    } in env


def test_a_variable_that_looks_like_a_secret_is_warned_of(caplog):
    kubernetes_request(submission(env={"API_TOKEN": "abcdef123456789", "A": "b"}), ANY)
    (warned,) = [record.getMessage() for record in caplog.records]
    assert warned.startswith("--env: whoever may read the job can read API_TOKEN; keep it in a")
    assert "abcdef" not in warned


def test_text_that_kubernetes_would_expand_arrives_as_it_was():
    sent = submission(1, env={"A": "$(B) $$(C) $"}, values={"module": "m", "hp": (("x", "$(A)"),)})
    (start,) = kubernetes_containers(kubernetes_request(sent, ANY))
    assert start.env["A"] == "$(B) $$(C) $"
    assert "x=$(A)" in start.argv


def test_servers_and_evaluators_have_no_gpus():
    values = {"distribution": "parameter_server"}
    options = KubernetesOptions(flavor="jobset", gpus=1)
    request = kubernetes_request(submission(2, values=values, parameter_servers=1), options)
    limits = {
        replicated["name"]: replicated["template"]["spec"]["template"]["spec"]["containers"][0].get(
            "resources", {}
        )
        for replicated in of_kind(request, "JobSet")["spec"]["replicatedJobs"]
    }
    assert limits["worker"]["limits"] == {"nvidia.com/gpu": "1"}
    assert limits["ps"] == {}
    assert "all pods of a Job are alike" in mistake(
        KubernetesOptions(gpus=1), values=values, parameter_servers=1
    )


# Where results go


@pytest.mark.parametrize(
    ("more", "options", "folder"),
    [
        ({}, ANY, "s3://bucket/runs/mnist"),
        ({"output": None}, KubernetesOptions(volume=("d:/data:ro", "r:/runs")), "/runs/mnist"),
        ({"output": "/runs/a"}, KubernetesOptions(volume=("r:/runs",)), "/runs/a/mnist"),
        ({"values": {"job_dir": "gs://b/x/"}}, ANY, "gs://b/x"),
        ({"values": {"model_dir": "gs://b/x/model"}}, ANY, "gs://b/x"),
        ({"values": {"model_dir": "out/model"}}, ANY, "s3://bucket/runs/mnist"),
    ],
)
def test_the_job_says_where_it_writes(more, options, folder):
    request = kubernetes_request(submission(**more), options)
    assert of_kind(request, "Job")["metadata"]["annotations"] == {"trainer/output": folder}
    (start, *_) = kubernetes_containers(request)
    assert job_in(start).model_dir == f"{folder}/model"


@pytest.mark.parametrize(
    ("more", "options", "expected"),
    [
        ({"output": None}, ANY, "--output: what a pod writes to its own disk is lost with it; say"),
        ({"output": "/tmp/x"}, ANY, "--output /tmp/x: is on the pod's own disk"),
        ({"output": "/d/x"}, KubernetesOptions(volume=("c:/d:ro",)), "/d is mounted read-only"),
        (
            {"values": {"model_dir": "/d/x"}},
            KubernetesOptions(volume=("c:/d:ro",)),
            "--model-dir /d/x: /d is mounted read-only",
        ),
        ({"name": "Mnist"}, ANY, "--name Mnist: expected lower-case letters"),
        ({"name": "m" * 62}, ANY, "has 62 characters; with the numbers of its pods 61 fit"),
        ({"name": "m" * 49}, KubernetesOptions(flavor="jobset"), "of its pods 48 fit"),
        ({"name": "1st"}, ANY, "--name 1st: expected lower-case letters, digits and -, beginning"),
        ({"spot": True}, ANY, "--spot: clusters have no common word"),
        ({"tags": {"a b": "c"}}, ANY, "--tags a b: is no name of a label"),
        ({"tags": {"a": "c d"}}, ANY, "--tags a=c d: a label has 63 characters at most"),
        ({"env": {"A=": "x"}}, ANY, "--env A=: is no name of a variable"),
        ({"env": {"TRAINER_PODS": "3"}}, ANY, "the variable TRAINER_PODS: is given twice"),
        ({}, KubernetesOptions(volume=("data",)), "--volume data: expected CLAIM:/PATH"),
        ({}, KubernetesOptions(volume=("a:/d", "b:/d/")), "--volume b:/d/: /d is taken already"),
        ({}, KubernetesOptions(toleration=("a:b:c",)), "--toleration a:b:c: expected KEY"),
        ({}, KubernetesOptions(env_from=("aws",)), "--env-from aws: expected secret/NAME"),
        ({}, KubernetesOptions(env_secret=("A=b",)), "--env-secret A: expected VARIABLE=SECRET:"),
        ({}, KubernetesOptions(annotations=("a",)), "--annotations a: expected NAME=VALUE"),
        ({}, KubernetesOptions(flavor="trainjob", ttl=5), "--ttl 5: a TrainJob stays until"),
        (
            {"values": {"distribution": "parameter_server"}, "parameter_servers": 1},
            KubernetesOptions(flavor="trainjob"),
            "--flavor trainjob: all pods of a TrainJob do the same",
        ),
    ],
)
def test_what_kubernetes_would_refuse_is_one_line(more, options, expected):
    assert expected in mistake(options, **more)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"cpu": "four"}, "--cpu four: expected a quantity"),
        ({"cpu": "8Gi"}, "--cpu 8Gi: expected a quantity"),
        ({"memory": "8 GB"}, "--memory 8 GB: expected a quantity"),
        ({"namespace": "Team"}, "--namespace Team: expected a name of Kubernetes"),
        ({"image_pull_secret": ("a_b",)}, "--image-pull-secret a_b: expected a name"),
    ],
)
def test_an_option_that_cannot_be_right_is_refused(values, expected):
    with pytest.raises(UserError, match=expected):
        KubernetesOptions(**values)


def test_data_that_no_volume_holds_is_warned_of(caplog):
    values = {"train": ("/data/a", "/else/b", "s3://b/c"), "classes": "7", "module": "mine.model"}
    kubernetes_request(submission(values=values), KubernetesOptions(volume=("c:/data:ro",)))
    assert [record.getMessage() for record in caplog.records] == [
        "--train /else/b: on no volume, so that it has to be in the image"
    ]


@given(st.integers(1, 50), st.sampled_from(FLAVORS))
def test_every_pod_of_every_size_is_made_once(hosts: int, flavor: str):
    request = kubernetes_request(submission(hosts), KubernetesOptions(flavor=flavor))
    assert len({start.name for start in kubernetes_containers(request)}) == hosts


def test_volumes_are_what_pods_share_and_the_jobs_folder_is_what_is_kept():
    options = KubernetesOptions(volume=("digits:/data:ro", "runs:/runs"), gpus=1)
    (start, _) = kubernetes_containers(kubernetes_request(submission(output=None), options))
    assert start.shared == ("/data", "/runs")
    assert start.outputs == {"/runs/mnist": ""}


@pytest.mark.parametrize(
    ("cpu", "values", "threads"),
    [
        ("4", {}, 4),
        ("3500m", {}, 3),
        ("500m", {}, 1),
        ("2.5", {}, 2),
        ("8", {"processes_per_host": 4}, 2),
        ("8", {"threads": 6}, 6),
        (None, {}, 0),
    ],
)
def test_a_pod_has_as_many_threads_as_processors(cpu, values, threads):
    request = kubernetes_request(submission(values=values), KubernetesOptions(cpu=cpu))
    assert {job_in(start).threads for start in kubernetes_containers(request)} == {threads}
