from typing import Any

import pytest
from fake_cluster import FakeCluster, complete, ended

from trainer.backends.backend import JobStatus
from trainer.backends.kubernetes.status import status_of


def with_job() -> FakeCluster:
    """Return what a cluster has of a job; nothing is served."""
    cluster = FakeCluster()
    cluster.add("jobs", "mnist", spec={})
    return cluster


def status_in(cluster: FakeCluster) -> JobStatus:
    found: dict[str, list[Any]] = {kind: [] for kind in ("jobs", "pods", "events")}
    for (kind, _), each in cluster.objects.items():
        found[kind].append(each)
    return status_of(found["jobs"][0], found["pods"], found["events"])


def test_a_failed_job_says_why_in_the_words_of_the_pod_that_failed_first():
    cluster = with_job()
    said = "ValueError: bad label 11\nhost mnist-1, rank 1"
    cluster.pod("mnist", 0, "Failed", containerStatuses=ended(1, "other", at="00:00:03"))
    cluster.pod("mnist", 0, "Failed", attempt=1, containerStatuses=ended(201, "peer is gone"))
    cluster.pod("mnist", 1, "Failed", containerStatuses=ended(1, said, at="00:08:59"))
    complete(cluster, "Failed", "PodFailurePolicy", "Container trainer failed with exit code 1")
    found = status_in(cluster)
    assert found.state == "failed"
    assert found.failure == f"mnist-1-a: {said}"
    assert found.exit_code == 1
    assert found.detail == "PodFailurePolicy: Container trainer failed with exit code 1"


def test_a_job_that_fails_without_pods_has_the_reason_of_the_cluster():
    cluster = with_job()
    complete(cluster, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    assert status_in(cluster).failure.startswith("DeadlineExceeded: Job was active longer")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            {"containerStatuses": ended(137, reason="OOMKilled")},
            "mnist-0-a: OOMKilled: out of memory; raise --memory, or lower --batch-size",
        ),
        (
            {"reason": "Evicted", "message": "The node was low on resource: memory."},
            "mnist-0-a: Evicted: The node was low on resource: memory.",
        ),
        ({"containerStatuses": ended(3)}, "mnist-0-a: exit code 3"),
    ],
)
def test_what_killed_a_pod_is_told(status, expected):
    cluster = with_job()
    cluster.pod("mnist", 0, "Failed", **status)
    complete(cluster, "Failed", "BackoffLimitExceeded")
    assert status_in(cluster).failure == expected


def waiting(reason: str, message: str) -> Any:
    return [{"state": {"waiting": {"reason": reason, "message": message}}}]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            {"containerStatuses": waiting("ImagePullBackOff", 'pulling image "r/trainer:cpu"')},
            'mnist-0-a: ImagePullBackOff: pulling image "r/trainer:cpu"; check --image, and',
        ),
        (
            {"containerStatuses": waiting("CreateContainerConfigError", 'secret "x" not found')},
            'CreateContainerConfigError: secret "x" not found; check the names of --env-from',
        ),
        (
            {
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
                    }
                ]
            },
            "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.; ask for less",
        ),
    ],
)
def test_a_pod_that_cannot_start_says_why_and_what_to_do(status, expected):
    cluster = with_job()
    cluster.pod("mnist", 0, "Pending", **status)
    cluster.pod("mnist", 1, "Running")
    found = status_in(cluster)
    assert found.state == "waiting"
    assert expected in found.detail


def test_a_job_that_somebody_deletes_is_stopping():
    cluster = with_job()
    cluster.objects["jobs", "mnist"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert status_in(cluster).state == "stopping"


def test_a_namespace_that_refuses_root_says_what_to_set():
    cluster = with_job()
    message = 'pods "mnist-0-x" is forbidden: violates PodSecurity "restricted:latest"'
    about = {"name": "mnist", "kind": "Job"}
    event = {"type": "Warning", "reason": "FailedCreate", "message": message}
    cluster.add("events", "e", involvedObject=about, **event)
    assert status_in(cluster).detail == f"FailedCreate: {message}; set --run-as-user UID"


def test_pods_that_the_quota_forbids_are_told_from_the_jobs_events():
    cluster = with_job()
    message = 'pods "mnist-0-x" is forbidden: exceeded quota'
    about = {"name": "mnist", "kind": "Job"}
    event = {"type": "Warning", "reason": "FailedCreate", "message": message}
    cluster.add("events", "e", involvedObject=about, **event)
    assert status_in(cluster).detail == f"FailedCreate: {message}"


def test_a_job_that_begins_anew_says_what_failed():
    cluster = with_job()
    cluster.pod("mnist", 0, "Failed", containerStatuses=ended(200, "the store did not answer"))
    cluster.pod("mnist", 0, "Running", attempt=1)
    found = status_in(cluster)
    assert found.state == "running"
    assert found.detail == (
        "1 of 1 pods run; 1 pods have failed, the last: mnist-0-a: the store did not answer"
    )
