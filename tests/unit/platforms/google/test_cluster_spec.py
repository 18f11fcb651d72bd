import json
from typing import Any

import pytest

from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.platforms.base import Environment
from trainer.platforms.google.cluster_spec import read_cluster

POOLS = {
    "workerpool0": ["p0-0:2222"],
    "workerpool1": ["p1-0:2222", "p1-1:2222"],
    "workerpool2": ["p2-0:2222"],
    "workerpool3": ["p3-0:2222"],
}
ROLES = {"chief": ["c:1"], "worker": ["w0:1", "w1:1"], "ps": ["p:1"]}


def read(variable="TF_CONFIG", **spec: Any):
    return read_cluster(Environment(env={variable: json.dumps(spec)}))


def cluster(variable="TF_CONFIG", **spec: Any) -> Cluster:
    return read(variable, **spec)[0]


def mistake(variable="TF_CONFIG", **spec: Any) -> str:
    with pytest.raises(UserError) as error:
        read(variable, **spec)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(variable)
    return str(error.value)


def task(type: Any, index: Any = 0, **more: Any) -> dict[str, Any]:
    return {"type": type, "index": index, **more}


# CLUSTER_SPEC, as Vertex AI sets it


@pytest.mark.parametrize(
    ("pool", "role", "rank"),
    [(0, "chief", 0), (1, "worker", 2), (2, "ps", -1), (3, "evaluator", -1)],
)
def test_pools_are_roles(pool, role, rank):
    index = 1 if pool == 1 else 0
    found = cluster("CLUSTER_SPEC", cluster=POOLS, task=task(f"workerpool{pool}", index))
    assert (found.role, found.index, found.rank) == (role, index, rank)
    assert found.trainers == ("p0-0:2222", "p1-0:2222", "p1-1:2222")
    assert (found.ps, found.evaluator) == (("p2-0:2222",), ("p3-0:2222",))


def test_one_replica_has_a_cluster_of_one():
    found = cluster(
        "CLUSTER_SPEC",
        cluster={"workerpool0": ["host:2222"]},
        environment="cloud",
        task=task("workerpool0"),
        job={"worker_pool_specs": []},
    )
    assert found == Cluster(chief=("host:2222",))
    assert found.size == 1


@pytest.mark.parametrize("skipped", [{}, [], None])
def test_a_skipped_pool_has_no_members(skipped):
    pools = {"workerpool0": ["a:1"], "workerpool2": ["p:1"]}
    if skipped is not None:
        pools["workerpool1"] = skipped
    found = cluster("CLUSTER_SPEC", cluster=pools, task=task("workerpool2"))
    assert found == Cluster(chief=("a:1",), ps=("p:1",), role="ps")


def test_reduction_servers_are_no_parameter_servers():
    image = "us-docker.pkg.dev/vertex-ai-restricted/training/reductionserver:latest"
    found = cluster(
        "CLUSTER_SPEC",
        cluster=POOLS,
        task=task("workerpool1", 1),
        job={"worker_pool_specs": [{}, {}, {"container_spec": {"image_uri": image}}]},
    )
    assert not found.ps
    assert len(found.trainers) == 3


def test_cluster_spec_comes_before_tf_config():
    env = {
        "CLUSTER_SPEC": json.dumps({"cluster": POOLS, "task": task("workerpool1", 1)}),
        "TF_CONFIG": json.dumps({"cluster": ROLES, "task": task("chief")}),
    }
    assert read_cluster(Environment(env=env))[0].rank == 2


def test_legacy_names_are_understood_in_cluster_spec():
    found = cluster("CLUSTER_SPEC", cluster={"master": ["m:1"], "worker": ["w:1"]}, task=task("w"
        "orker"))  # fmt: skip
    assert found == Cluster(chief=("m:1",), worker=("w:1",), role="worker")


@pytest.mark.parametrize(
    "spec",
    [
        {
            "cluster": {"worker_pools": [{"index": 0, "replicas": ["a"]}]},
            "task": {"worker_pool_index": 0, "replica_index": 0},
        },
        {"cluster": [{"index": 0, "replicas": ["a"]}], "task": {"type": "workerpool0"}},
    ],
)
def test_the_list_shaped_spec_is_refused_with_the_shape_expected(spec):
    assert "expected an object with one key a pool, workerpool0" in mistake("CLUSTER_SPEC", **spec)


# TF_CONFIG, as AI Platform, Vertex AI and Kubeflow set it


@pytest.mark.parametrize("name", ["chief", "master", "Master"])
def test_master_is_another_name_of_chief(name):
    found = cluster(cluster={name: ["m:1"], "worker": ["w:1"]}, task=task(name))
    assert found == Cluster(chief=("m:1",), worker=("w:1",))


def test_further_keys_are_nobodys_concern():
    found, trial = read(
        cluster=ROLES,
        task=task("worker", 1, trial="4", cloud="x-12"),
        job={"args": ["--a"]},
        environment="cloud",
    )
    assert (found.rank, trial) == (2, "4")


def test_an_index_may_be_a_string_and_a_trial_a_number():
    found, trial = read(cluster=ROLES, task=task("worker", "1", trial=7))
    assert (found.index, trial) == (1, "7")


@pytest.mark.parametrize("listed", [{}, {"evaluator": ["e:1"]}])
def test_an_evaluator_may_be_in_the_cluster_or_not(listed):
    found = cluster(cluster=ROLES | listed, task=task("evaluator"))
    assert (found.role, found.rank, found.is_chief) == ("evaluator", -1, False)


def test_workers_alone_have_their_first_as_chief():
    workers = {"worker": ["a:1", "b:1"]}
    assert cluster(cluster=workers, task=task("worker", 0)).is_chief
    assert not cluster(cluster=workers, task=task("worker", 1)).is_chief


def test_kubeflows_sparse_workers_keep_their_order():
    found = cluster(
        cluster={"chief": ["c:1"], "worker": {"10": "w10:1", "2": "w2:1"}},
        task=task("worker", 10),
    )
    assert (found.worker, found.index) == (("w2:1", "w10:1"), 1)


def test_a_sparse_cluster_never_makes_each_worker_a_chief():
    text = mistake(cluster={"worker": {"1": "w1:1"}, "ps": ["p:1"]}, task=task("worker", 1))
    assert "leaves out worker 0" in text
    assert "enableDynamicWorker" in text


def test_a_dynamic_worker_that_sees_only_itself_is_refused():
    text = mistake(sparseCluster={"worker": {"1": "w1:1"}, "ps": ["p:1"]}, task=task("worker", 1))
    assert "sparseCluster: lists this process alone" in text
    assert "enableDynamicWorker: false" in text


@pytest.mark.parametrize("spec", [{}, {"task": {}}, {"cluster": {}}, {"task": {"trial": "2"}}])
def test_nothing_said_is_one_process(spec):
    assert cluster(**spec) == Cluster()


@pytest.mark.parametrize("name", ["master", "chief", "worker"])
def test_a_task_without_a_cluster_is_alone(name):
    assert cluster(task=task(name)).is_chief


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"cluster": ROLES}, "task: has no type"),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {}}, "task: has no type"),
        ({"cluster": ROLES, "task": task("trainer")}, "expected one of master, chief"),
        ({"cluster": ROLES, "task": task(3)}, "task type: expected a string, found 3"),
        ({"cluster": ROLES, "task": task("worker", 2)}, "worker 2, but the cluster lists 2"),
        ({"cluster": ROLES, "task": task("worker", -1)}, "worker -1, but the cluster lists 2"),
        ({"cluster": ROLES, "task": task("worker", None)}, "expected a whole number, found null"),
        ({"cluster": ROLES, "task": task("worker", True)}, "expected a whole number, found True"),
        ({"cluster": {"worker": ["a:1"]}, "task": task("chief")}, "lists none of them"),
        ({"task": task("worker", 1)}, "worker 1, but the cluster lists none"),
        ({"task": task("ps")}, "ps 0, but the cluster lists none"),
        ({"cluster": {"gpu": ["a:1"]}, "task": {}}, "cluster: expected one of master"),
        ({"cluster": {"chief": ["a:1"], "master": ["b:1"]}, "task": {}}, "lists chief twice"),
        ({"cluster": {"chief": ["a:1", "b:1"]}, "task": task("chief")}, "lists 2 chiefs"),
        ({"cluster": {"chief": "a:1"}, "task": task("chief")}, "expected a list, found 'a:1'"),
        ({"cluster": {"chief": [1]}, "task": task("chief")}, "cluster chief: expected a string"),
        ({"cluster": {"chief": {"x": "a"}}, "task": {}}, "expected numbers as keys, found x"),
        ({"cluster": "a:1"}, "cluster: expected an object"),
        ({"cluster": 5}, "cluster: expected an object"),
        ({"task": []}, None),
        ({"task": ["x"]}, "task: expected an object, found a list of 1"),
    ],
)
def test_a_malformed_specification_is_reported_with_what_was_expected(spec, expected):
    if expected is None:
        assert cluster(**spec) == Cluster()
    else:
        assert expected in mistake(**spec)


@pytest.mark.parametrize("text", ["yes", "{", "[]", "3", '"x"', "{'cluster': {}}", "[" * 100_000])
def test_what_is_no_json_object_names_the_variable(text):
    with pytest.raises(UserError, match=r"^TF_CONFIG: expected (JSON|an object), found") as error:
        read_cluster(Environment(env={"TF_CONFIG": text}))
    assert len(str(error.value)) < 250


def test_a_malformed_specification_is_not_printed_whole():
    text = '{"job": {"env": {"API_KEY": "hunter2"}}'
    with pytest.raises(UserError) as error:
        read_cluster(Environment(env={"TF_CONFIG": text}))
    assert "hunter2" not in str(error.value)


def test_an_empty_variable_says_nothing():
    assert read_cluster(Environment(env={"TF_CONFIG": "", "CLUSTER_SPEC": ""})) == (Cluster(), None)
