import os
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import FakeCluster, complete, ended

from trainer.backends.backend import Fetched
from trainer.backends.kubernetes.kubectl import Kubectl
from trainer.backends.kubernetes.service import KubernetesService
from trainer.config.errors import RetryableError, UserError
from trainer.config.flags import job_from_flags
from trainer.platforms import KubernetesOptions, Submission, kubernetes_request

pytestmark = pytest.mark.slow


@pytest.fixture
def service(cluster: FakeCluster) -> KubernetesService:
    return KubernetesService(Kubectl(context=None, namespace=None))


def request(**more: Any) -> Any:
    options = KubernetesOptions(**more.pop("options", {}))
    defaults = {"name": "mnist", "image": "r/trainer:cpu", "output": "s3://b/runs", "hosts": 2}
    sent = Submission(job=job_from_flags({}), given=frozenset(), **{**defaults, **more})
    return kubernetes_request(sent, options)


# Submit


@pytest.mark.parametrize(
    ("flavor", "made"),
    [
        ("job", ["POST secrets", "POST services", "POST jobs"]),
        ("jobset", ["POST secrets", "POST jobsets"]),
        ("trainjob", ["POST secrets", "POST trainingruntimes", "POST trainjobs"]),
    ],
)
def test_the_objects_of_a_job_are_made_and_belong_to_it(cluster, service, flavor, made):
    sent = request(secret="s3cret", options={"flavor": flavor})
    assert service.submit(sent) == "mnist"
    assert [line for line in cluster.requests if line.startswith("POST")] == made
    (*others, (job, _)) = cluster.objects
    for other in others:
        owner = cluster.objects[other]["metadata"]["ownerReferences"]
        assert owner == [
            {
                "apiVersion": sent.manifests[-1]["apiVersion"],
                "kind": sent.kind,
                "name": "mnist",
                "uid": "uid-mnist",
            }
        ]
    assert "ownerReferences" not in cluster.objects[job, "mnist"]["metadata"]
    assert cluster.objects["secrets", "mnist"]["stringData"] == {"value": "s3cret"}


def test_what_was_made_is_removed_when_the_cluster_refuses_the_rest(cluster, service):
    cluster.refusals["POST", "jobs"] = (403, 'jobs.batch is forbidden: User "u" cannot create')
    with pytest.raises(UserError) as error:
        service.submit(request())
    assert str(error.value) == (
        'mnist: access is denied: jobs.batch is forbidden: User "u" cannot create; ask for a Role '
        "that allows it, and check with kubectl auth can-i --list"
    )
    assert cluster.objects == {}


def test_a_name_that_is_taken_is_said_and_the_job_of_that_name_stays(cluster, service):
    service.submit(request(hosts=1))
    with pytest.raises(UserError, match='mnist: the name is taken: jobs "mnist" already exists'):
        service.submit(request(hosts=1))
    assert [*cluster.objects] == [("jobs", "mnist")]


def test_a_service_of_that_name_stays_too(cluster, service):
    cluster.add("services", "mnist")
    with pytest.raises(UserError, match="the name is taken"):
        service.submit(request())
    assert [*cluster.objects] == [("services", "mnist")]


def test_a_cluster_without_jobsets_says_which_kind_is_missing(cluster, service):
    cluster.kinds -= {"jobsets"}
    with pytest.raises(UserError) as error:
        service.submit(request(options={"flavor": "jobset"}))
    assert "the cluster has no kind JobSet; install its controller" in str(error.value)


def test_a_namespace_that_is_not_there_is_named(cluster, service):
    cluster.refusals["POST", "jobs"] = (404, 'namespaces "vision" not found')
    with pytest.raises(UserError, match="mnist: there is no such namespace; make it with kubectl"):
        service.submit(request(hosts=1))


def test_what_the_cluster_warns_of_is_said(cluster, service, caplog):
    cluster.warning = "would violate PodSecurity restricted"
    service.submit(request(hosts=1))
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warned == ["mnist: would violate PodSecurity restricted"]
    with pytest.raises(UserError, match="mnist: the name is taken"):
        service.submit(request(hosts=1))


# Follow


def test_a_job_waits_runs_and_completes(cluster, service):
    service.submit(request())
    assert service.status("mnist").state == "waiting"
    cluster.pod("mnist", 0, "Running")
    cluster.pod("mnist", 1, "Pending")
    found = service.status("mnist")
    assert (found.state, found.detail) == ("running", "1 of 2 pods run")
    complete(cluster, "Complete")
    found = service.status("mnist")
    assert (found.state, found.started, found.ended) == ("completed", 1767225601, 1767226200)


# Lines


def test_lines_of_all_pods_come_once_and_in_the_order_of_their_times(cluster, service):
    service.submit(request())
    running = [{"state": {"running": {}}}]
    cluster.pod("mnist", 0, "Running", containerStatuses=running)
    cluster.pod("mnist", 1, "Running", containerStatuses=running)
    creating = [{"state": {"waiting": {"reason": "ContainerCreating"}}}]
    cluster.pod("mnist", 2, "Pending", containerStatuses=creating)
    first: list[str] = cluster.logs.setdefault("mnist-0-a", [])
    second: list[str] = cluster.logs.setdefault("mnist-1-a", [])
    reader = service.logs("mnist")
    assert reader.read() == []
    first += ["2026-01-01T00:00:01.100000000Z a", "2026-01-01T00:00:01.300000000Z c"]
    second += ["2026-01-01T00:00:01.200000000Z b"]
    lines = reader.read()
    assert [(line.host, line.text) for line in lines] == [
        ("mnist-0", "a"),
        ("mnist-1", "b"),
        ("mnist-0", "c"),
    ]
    assert lines[0].time == pytest.approx(1767225601.1)
    # Another line of the same moment, and one that is empty.
    first += ["2026-01-01T00:00:01.300000000Z d", "2026-01-01T00:00:02.000000000Z "]
    assert [line.text for line in reader.read()] == ["d", ""]
    assert reader.read() == []


def test_a_pod_that_has_ended_is_read_once_more_and_one_that_is_gone_no_more(cluster, service):
    service.submit(request(hosts=1))
    cluster.pod("mnist", 0, "Succeeded", containerStatuses=ended(0))
    cluster.logs["mnist-0-a"] = ["2026-01-01T00:00:01.100000000Z done"]
    reader = service.logs("mnist")
    assert [line.text for line in reader.read()] == ["done"]
    asked = len([line for line in cluster.requests if line.endswith("/log")])
    assert reader.read() == []
    assert len([line for line in cluster.requests if line.endswith("/log")]) == asked


# The rest


def test_a_stopped_job_is_suspended_and_keeps_its_object(cluster, service):
    service.submit(request())
    cluster.pod("mnist", 0, "Running")
    service.stop("mnist")
    assert cluster.objects["jobs", "mnist"]["spec"]["suspend"] is True
    assert service.status("mnist").state == "stopping"
    del cluster.objects["pods", "mnist-0-a"]
    assert service.status("mnist").state == "stopped"


def test_a_job_of_a_queue_waits_while_kueue_suspends_it_and_is_deleted_to_stop_it(cluster, service):
    service.submit(request(options={"queue": "team-a"}))
    cluster.objects["jobs", "mnist"]["spec"]["suspend"] = True
    found = service.status("mnist")
    assert (found.state, found.detail) == ("waiting", "in the queue team-a")
    service.stop("mnist")
    assert ("jobs", "mnist") not in cluster.objects


@pytest.mark.parametrize("flavor", ["job", "jobset", "trainjob"])
def test_jobs_of_every_kind_are_found_by_name_and_in_the_list(cluster, service, flavor):
    service.submit(request(options={"flavor": flavor}))
    (found,) = service.jobs(10)
    assert (found.name, found.status.state) == ("mnist", "waiting")
    assert found.detail.endswith(" r/trainer:cpu")
    assert service.results("mnist", Path()) == [Fetched(source="s3://b/runs/mnist", target="")]


def test_clusters_without_jobset_and_kubeflow_list_their_jobs(cluster, service):
    cluster.kinds -= {"jobsets", "trainjobs", "trainingruntimes"}
    service.submit(request())
    assert [job.name for job in service.jobs(10)] == ["mnist"]
    with pytest.raises(UserError, match="other: there is no such job in this namespace; see"):
        service.status("other")


EXEC_HERE = """\
#!/bin/bash
# kubectl but for what runs in a container, which runs here.
if [[ " $* " == *" exec "* ]]; then
    while [ "$1" != -- ]; do shift; done
    exec "${@:2}"
fi
exec kubectl "$@"
"""


@pytest.fixture
def reading(cluster: FakeCluster, tmp_path: Path) -> KubernetesService:
    """A service whose pods start at once, and read the disk of this machine."""
    program = tmp_path / "kubectl-here"
    program.write_text(EXEC_HERE)
    program.chmod(0o755)

    def start(made: dict[str, Any]) -> None:
        if made["kind"] == "Pod":
            made["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}

    cluster.made = start
    return KubernetesService(Kubectl(context=None, namespace=None, program=str(program)))


@pytest.mark.parametrize("flavor", ["job", "jobset", "trainjob"])
def test_results_on_a_volume_come_through_a_pod_that_goes(cluster, reading, tmp_path, flavor):
    volume, folder = tmp_path / "runs", tmp_path / "home"
    options = {"volume": (f"runs:{volume}",), "flavor": flavor, "image_pull_secret": ("r",)}
    reading.submit(request(output=None, options=options))
    left = volume / "mnist"
    (left / "model/1").mkdir(parents=True)
    (left / "model/1/saved model.pb").write_bytes(b"x" * 100_000)
    (left / "metrics.json").write_text("{}")
    (folder / "model/1").mkdir(parents=True)
    (folder / "metrics.json").write_text("[]")
    pods: list[dict[str, Any]] = []
    start = cluster.made

    def noting(made: dict[str, Any]) -> None:
        start(made)
        pods.extend([made] if made["kind"] == "Pod" else [])

    cluster.made = noting
    assert reading.results("mnist", folder) == []
    assert (folder / "model/1/saved model.pb").read_bytes() == b"x" * 100_000
    # What is here in full size stays, whatever is in it.
    assert (folder / "metrics.json").read_text() == "[]"
    assert not list(folder.rglob("*.part"))
    (pod,) = pods
    assert pod["spec"]["containers"][0]["image"] == "r/trainer:cpu"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "r"}]
    assert ("pods", "mnist-fetch") not in cluster.objects
    # The pod is none of the job's.
    assert "app.kubernetes.io/instance" not in pod["metadata"]["labels"]


def test_a_job_that_has_written_nothing_yet_is_said(cluster, reading, tmp_path):
    reading.submit(request(output=None, options={"volume": (f"runs:{tmp_path}/runs",)}))
    with pytest.raises(UserError, match=r"mnist: find: .*/runs/mnist.*: No such file"):
        reading.results("mnist", tmp_path / "home")
    assert ("pods", "mnist-fetch") not in cluster.objects


# No cluster


def test_a_cluster_that_does_not_answer_may_do_so_later(cluster, service, tmp_path):
    text = Path(os.environ["KUBECONFIG"]).read_text()
    Path(os.environ["KUBECONFIG"]).write_text(text.replace(cluster.url, "http://127.0.0.1:9"))
    with pytest.raises(RetryableError, match="mnist: the cluster does not answer: The connection"):
        service.status("mnist")


def test_no_settings_of_kubectl_are_a_mistake(cluster, service, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="mnist: kubectl knows no cluster; get the settings"):
        service.status("mnist")


def test_a_context_that_is_not_there_is_named(cluster):
    service = KubernetesService(Kubectl(context="prod", namespace=None))
    with pytest.raises(UserError, match="kubectl knows no such cluster; see kubectl config"):
        service.jobs(1)


def test_without_kubectl_the_line_says_what_to_do():
    with pytest.raises(UserError, match="no-such-kubectl: is not installed, and the trainer"):
        Kubectl(context=None, namespace=None, program="no-such-kubectl")
