import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.platforms.base import Environment
from trainer.platforms.kubernetes import platform
from trainer.platforms.resolve import ResolvedJob, resolve_job

NOWHERE = Path("/nowhere")


def pod(root: Path, name: str, service: str | None, **env: str) -> Environment:
    """What a container finds in the pod of this name, as the kubelet and the controllers set it."""
    names = f"{name}.{service}.default.svc.cluster.local\t{name}" if service else name
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/hosts").write_text(
        f"# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n10.244.0.7\t{names}\n"
    )
    return Environment(env={"HOSTNAME": name, **env}, root=root)


def resolved(environment: Environment, **flags: object) -> ResolvedJob:
    return resolve_job(environment, flags)


def mistake(environment: Environment) -> str:
    with pytest.raises(UserError) as error:
        resolve_job(environment, {})
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300
    return str(error.value)


# Indexed Jobs


def test_the_pods_of_an_indexed_job_meet_by_the_names_of_its_service(tmp_path):
    found = resolved(pod(tmp_path, "mnist-1", "ring", JOB_COMPLETION_INDEX="1", TRAINER_PODS="3"))
    assert found.because == "JOB_COMPLETION_INDEX is set"
    assert found.job.platform == "kubernetes"
    assert found.job.cluster == Cluster(
        chief=("mnist-0.ring",), worker=("mnist-1.ring", "mnist-2.ring"), role="worker", index=0
    )
    assert found.job.distribution == "multi_worker_mirrored"
    assert found.job.stopped_code == 143


def test_roles_are_ranges_of_the_index(tmp_path):
    roles = "chief=1 worker=2,ps=1  evaluator=1"
    seen = [
        resolved(pod(tmp_path, f"m-{i}", "m", JOB_COMPLETION_INDEX=str(i), TRAINER_PODS=roles)).job
        for i in range(5)
    ]
    assert [job.cluster.task for job in seen] == [
        "chief 0", "worker 0", "worker 1", "ps 0", "evaluator 0",
    ]  # fmt: skip
    assert seen[0].cluster.worker == ("m-1.m", "m-2.m")
    assert seen[0].cluster.evaluator == ("m-4.m",)
    assert {job.distribution for job in seen} == {"parameter_server"}


def test_one_pod_needs_no_service(tmp_path):
    found = resolved(pod(tmp_path, "m-0", None, JOB_COMPLETION_INDEX="0", TRAINER_PODS="1"))
    assert found.job.cluster == Cluster(chief=("m-0",))
    assert found.job.distribution == "none"


def test_a_pod_whose_host_name_is_the_whole_one_is_found_too(tmp_path):
    env = {"HOSTNAME": "m-1.ring.default.svc.cluster.local"}
    env |= {"JOB_COMPLETION_INDEX": "1", "TRAINER_PODS": "2"}
    found = resolved(Environment(env=env, root=tmp_path)).job.cluster
    assert (found.chief, found.worker) == (("m-0.ring",), ("m-1.ring",))


def test_pods_that_do_not_know_of_each_other_train_by_themselves_and_say_so(tmp_path):
    found = resolved(pod(tmp_path, "m-2", None, JOB_COMPLETION_INDEX="2"))
    assert found.job.cluster == Cluster()
    assert [note for note in found.notes if "trains by itself, as TRAINER_PODS" in note]


def test_a_rank_of_mpirun_is_not_by_itself_though_its_pod_says_nothing_of_others(tmp_path):
    ranks = {"RANK": "1", "SIZE": "2", "LOCAL_RANK": "0", "LOCAL_SIZE": "1"}
    env = {f"OMPI_COMM_WORLD_{name}": value for name, value in ranks.items()}
    found = resolved(pod(tmp_path, "m-launcher-0-0", None, JOB_COMPLETION_INDEX="0", **env))
    assert (found.job.distribution, found.job.cluster.rank) == ("horovod", 1)
    assert found.notes == ()


@given(st.text("0123456789=xchiefworkps ,-", max_size=20), st.integers(0, 5))
def test_any_text_of_pods_is_understood_or_a_mistake_of_one_line(text: str, index: int):
    env = {"HOSTNAME": f"m-{index}", "JOB_COMPLETION_INDEX": str(index), "TRAINER_PODS": text}
    try:
        found = resolve_job(Environment(env=env | {"TRAINER_SERVICE": "m"}, root=NOWHERE), {})
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert found.job.cluster.size >= 1


@pytest.mark.parametrize(
    ("name", "service", "env", "expected"),
    [
        ("m-1", None, {"TRAINER_PODS": "2"}, "the pods cannot find each other, as this one has"),
        ("m-1", "m", {"TRAINER_PODS": "two"}, "TRAINER_PODS=two: expected the number of pods"),
        ("m-1", "m", {"TRAINER_PODS": "0"}, "TRAINER_PODS=0: expected the number of pods"),
        ("m-1", "m", {"TRAINER_PODS": "9" * 5000}, "expected the number of pods, or of each"),
        (
            "m-1",
            "m",
            {"TRAINER_PODS": "a=99999x999999999"},
            "expected the number of pods, or of each role",
        ),
        ("m-1", "m", {"TRAINER_PODS": "worker=0"}, "worker=0: expected the number of pods"),
        ("m-1", "m", {"TRAINER_PODS": "ps=1 ps=2"}, "or of each role: chief=1 worker=2 ps=1"),
        ("m-1", "m", {"TRAINER_PODS": "1"}, "JOB_COMPLETION_INDEX=1: TRAINER_PODS lists 1 pods"),
        ("m-1", "m", {"TRAINER_PODS": "chief=1 boss=1"}, "boss: expected one of chief, worker"),
        ("m-1", "m", {"TRAINER_PODS": "chief=2 worker=1"}, "chief=2: expected one chief"),
        ("node7", "m", {"TRAINER_PODS": "2"}, "HOSTNAME=node7: expected the name that an indexed"),
        ("m-1", "m", {"PET_NNODES": "1:4"}, "PET_NNODES=1:4: expected the number of pods"),
        ("m-1", "m", {"TRAINER_GRACE_SECONDS": "soon"}, "TRAINER_GRACE_SECONDS=soon: expected the"),
        ("m-1", "m", {"JOB_COMPLETION_INDEX": "x", "TRAINER_PODS": "2"}, "JOB_COMPLETION_INDEX=x"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, name, service, env, expected):
    environment = pod(tmp_path, name, service, **{"JOB_COMPLETION_INDEX": "1", **env})
    assert expected in mistake(environment)


# JobSets and TrainJobs


def in_jobset(root: Path, role: str, index: int, *, job: int = 0, hosts: str) -> Cluster:
    environment = pod(
        root,
        f"mnist-{role}-{job}-{index}",
        "mnist",
        JOB_COMPLETION_INDEX=str(index),
        JOBSET_NAME="mnist",
        REPLICATED_JOB_NAME=role,
        JOB_INDEX=str(job),
        TRAINER_PODS=hosts,
    )
    return resolved(environment).job.cluster


def test_the_replicated_jobs_of_a_jobset_are_roles(tmp_path):
    hosts = "chief=1 worker=2 ps=1"
    worker = in_jobset(tmp_path, "worker", 1, hosts=hosts)
    assert worker == Cluster(
        chief=("mnist-chief-0-0.mnist",),
        worker=("mnist-worker-0-0.mnist", "mnist-worker-0-1.mnist"),
        ps=("mnist-ps-0-0.mnist",),
        role="worker",
        index=1,
    )
    assert in_jobset(tmp_path, "ps", 0, hosts=hosts).task == "ps 0"


def test_several_jobs_of_one_replicated_job_are_counted_through(tmp_path):
    found = in_jobset(tmp_path, "slices", 1, job=1, hosts="slices=2x2")
    assert found.trainers == tuple(
        f"mnist-slices-{job}-{index}.mnist" for job in range(2) for index in range(2)
    )
    assert found.rank == 3
    with pytest.raises(UserError, match="lists 2 jobs with 2 pods each"):
        in_jobset(tmp_path, "slices", 1, job=2, hosts="slices=2x2")
    with pytest.raises(UserError, match="REPLICATED_JOB_NAME=other: expected one of"):
        in_jobset(tmp_path, "other", 1, hosts="slices=2x2")


def test_a_trainjob_of_kubeflows_torch_runtime_needs_no_variable_of_ours(tmp_path):
    environment = pod(
        tmp_path,
        "mnist-node-0-1",
        "mnist",
        JOB_COMPLETION_INDEX="1",
        PET_NNODES="2",
        PET_NPROC_PER_NODE="auto",
        PET_NODE_RANK="1",
        PET_MASTER_ADDR="mnist-node-0-0.mnist",
        PET_MASTER_PORT="29500",
    )
    found = resolved(environment).job.cluster
    assert found == Cluster(
        chief=("mnist-node-0-0.mnist",), worker=("mnist-node-0-1.mnist",), role="worker"
    )


# TFJobs


def tf_job(task: str, index: int = 0) -> Environment:
    """What the training operator gives a pod of a TFJob."""
    cluster = {
        "chief": ["mnist-chief-0.default.svc:2222"],
        "worker": [f"mnist-worker-{i}.default.svc:2222" for i in range(2)],
        "ps": ["mnist-ps-0.default.svc:2222"],
    }
    config = {
        "cluster": cluster, "task": {"type": task, "index": index}, "environment": "cloud",
    }  # fmt: skip
    env = {"TF_CONFIG": json.dumps(config), "KUBERNETES_SERVICE_HOST": "10.96.0.1"}
    return Environment(env=env, root=Path("/nowhere"))


@pytest.mark.parametrize("task", ["chief", "worker", "ps", "evaluator"])
def test_a_tfjob_is_kubernetes_and_its_evaluators_may_come_late(task):
    job = resolved(tf_job(task)).job
    assert job.platform == "kubernetes"
    assert (job.cluster.role, job.cluster.ps) == (task, ("mnist-ps-0.default.svc:2222",))
    assert job.distribution == "parameter_server"
    assert job.late_evaluators


# What else a pod has


def test_the_pod_has_its_grace_less_what_the_kubelet_takes(tmp_path):
    given = {"JOB_COMPLETION_INDEX": "0", "TRAINER_PODS": "1"}
    assert resolved(pod(tmp_path, "m-0", None, **given)).job.grace == 25
    given["TRAINER_GRACE_SECONDS"] = "600"
    assert resolved(pod(tmp_path, "m-0", None, **given)).job.grace == 595
    given["TRAINER_GRACE_SECONDS"] = "4"
    assert resolved(pod(tmp_path, "m-0", None, **given)).job.grace == 2


def test_the_reason_of_a_failure_goes_where_kubectl_looks_for_it(tmp_path):
    environment = pod(tmp_path, "m-0", None, JOB_COMPLETION_INDEX="0")
    assert platform.failure_file(environment) is None
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/termination-log").touch()
    assert resolved(environment).job.failure_file == str(tmp_path / "dev/termination-log")
