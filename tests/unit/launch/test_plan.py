import pytest

from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.launch import plan as tasks


def hosts(count, role="chief", index=0, **more):
    """As SageMaker lists them."""
    names = [f"algo-{i + 1}" for i in range(count)]
    return Cluster(chief=(*names[:1],), worker=(*names[1:],), role=role, index=index, **more)


def google(role="chief", index=0, **listed):
    listed = {"chief": ["c:2222"], **listed}
    return Cluster(role=role, index=index, **{name: tuple(found) for name, found in listed.items()})


def job(distribution, cluster=None, **more):
    return Job(distribution=distribution, cluster=cluster or Cluster(), **more)


def planned(of, **counts):
    """Each process with its host, and the addresses of all."""
    count = {m.id: counts.get(m.id.replace("-", "_"), 1) for m in tasks.members(of)}
    plan = tasks.plan_processes(of, count)
    return [(p.name, p.member) for p in plan], tasks.cluster_of(of, plan)


# ---- whether there are several


@pytest.mark.parametrize(
    ("distribution", "cluster", "more", "several"),
    [
        ("none", Cluster(), {}, False),
        ("mirrored", Cluster(), {"gpus": 4}, False),
        ("none", hosts(1), {}, False),
        ("horovod", Cluster(), {}, True),
        ("horovod", hosts(2), {}, True),
        ("parameter_server", Cluster(), {}, True),
        ("multi_worker_mirrored", hosts(1), {}, False),
        ("multi_worker_mirrored", hosts(1), {"processes_per_host": 2}, True),
        ("multi_worker_mirrored", hosts(2), {}, True),
        ("horovod", hosts(2), {"launched": True}, False),
    ],
)
def test_a_launcher_is_needed_where_there_is_more_than_one_process(
    distribution, cluster, more, several
):
    assert tasks.needs_launcher(job(distribution, cluster, **more)) is several


@pytest.mark.parametrize(
    ("distribution", "cluster", "more", "problem"),
    [
        (
            "none",
            hosts(2),
            {},
            "--distribution none: trains in one process, but this is chief 0 of",
        ),
        ("mirrored", hosts(2), {}, "set --distribution horovod, multi_worker_mirrored or param"),
        ("none", google("evaluator"), {}, "--distribution none: trains in one process"),
        ("none", Cluster(), {"processes_per_host": 2}, "--processes-per-host 2: --distribution no"),
        ("horovod", google(ps=["p:2222"]), {}, "--distribution horovod: has neither parameter se"),
        ("horovod", google("evaluator"), {}, "set --distribution parameter_server, or leave"),
        ("parameter_server", Cluster(ps=("p:1",), role="ps"), {}, "expected a chief or a worker"),
    ],
)
def test_a_list_of_hosts_that_does_not_fit_is_one_line(distribution, cluster, more, problem):
    with pytest.raises(UserError, match=problem) as caught:
        if tasks.needs_launcher(job(distribution, cluster, **more)):
            tasks.members(job(distribution, cluster, **more))
    assert "\n" not in str(caught.value)


def test_horovod_has_a_process_for_each_gpu():
    assert tasks.training_processes(job("horovod", gpus=4)) == 4
    assert tasks.training_processes(job("horovod")) == 1
    assert tasks.training_processes(job("horovod", gpus=4, processes_per_host=2)) == 2
    assert tasks.training_processes(job("multi_worker_mirrored", gpus=4)) == 1


def test_an_evaluator_that_nobody_lists_is_one_more():
    found = tasks.this_host(google("evaluator", ps=["p:2222"]))
    assert (found.id, found.host) == ("evaluator-0", "evaluator-0")
    assert tasks.this_host(hosts(2, "worker")).host == "algo-2"


def test_who_is_alone_need_not_be_found():
    assert tasks.is_single_host(job("horovod"))
    assert tasks.is_single_host(job("horovod", hosts(1)))
    assert not tasks.is_single_host(job("horovod", hosts(2)))
    # On Google's platforms an evaluator may come that nobody lists.
    assert not tasks.is_single_host(job("parameter_server", google(), platform="ai-platform"))


# ---- who does what


def test_ranks_follow_each_other_by_host_and_hosts_may_have_different_numbers():
    of = job("horovod", hosts(2))
    found, cluster = planned(of, chief_0=3, worker_0=2)
    assert found == [(f"rank {i}", "chief-0" if i < 3 else "worker-0") for i in range(5)]
    assert cluster.trainers == (
        "algo-1:7118", "algo-1:7119", "algo-1:7120", "algo-2:7121", "algo-2:7122",
    )  # fmt: skip


def test_where_no_chief_is_listed_the_first_worker_is():
    cluster = Cluster(worker=("w0:2222", "w1:2222"), role="worker", index=1)
    found, addresses = planned(job("multi_worker_mirrored", cluster))
    assert found == [("rank 0", "worker-0"), ("rank 1", "worker-1")]
    assert addresses == Cluster(chief=("w0:2222",), worker=("w1:2222",))


def test_an_address_with_a_port_is_the_first_processs_and_others_have_ports_of_their_own():
    of = job("multi_worker_mirrored", google(worker=["w:2222"]), port=9000)
    _, cluster = planned(of, chief_0=2, worker_0=2)
    assert cluster.trainers == ("c:2222", "c:9002", "w:2222", "w:9004")


def test_on_sagemaker_each_host_has_a_server_and_the_first_coordinates():
    found, cluster = planned(job("parameter_server", hosts(3)), worker_0=2, worker_1=2)
    assert found == [
        ("chief", "chief-0"),
        ("worker 0", "worker-0"),
        ("worker 1", "worker-0"),
        ("worker 2", "worker-1"),
        ("worker 3", "worker-1"),
        ("ps 0", "chief-0"),
        ("ps 1", "worker-0"),
        ("ps 2", "worker-1"),
    ]
    assert cluster.ps == ("algo-1:7123", "algo-2:7124", "algo-3:7125")


def test_where_servers_are_listed_each_has_its_own_host():
    of = job("parameter_server", google(worker=["w:2222"], ps=["p:2222"], evaluator=["e:2222"]))
    found, cluster = planned(of)
    assert found == [("chief", "chief-0"), ("worker 0", "worker-0"), ("ps 0", "ps-0")]
    assert cluster == Cluster(chief=("c:2222",), worker=("w:2222",), ps=("p:2222",))
    evaluator = tasks.members(of)[-1]
    assert [p.name for p in tasks.processes_on(evaluator, ())] == ["evaluator 0"]


@pytest.mark.parametrize("cluster", [Cluster(), hosts(1), google(ps=["p:2222"])])
def test_one_host_for_the_work_has_chief_and_workers(cluster):
    found, _ = planned(job("parameter_server", cluster), chief_0=2)
    assert [name for name, _ in found] == ["chief", "worker 0", "worker 1", "ps 0"]


def test_on_one_host_ports_are_those_that_are_free():
    of = job("parameter_server")
    plan = tasks.plan_processes(of, {"chief-0": 1})
    cluster = tasks.cluster_of(of, plan, ports=[5, 6, 7])
    assert cluster == Cluster(chief=("127.0.0.1:5",), worker=("127.0.0.1:6",), ps=("127.0.0.1:7",))


@pytest.mark.parametrize(
    ("cluster", "port"),
    [
        # Where the hosts meet, what is derived from it, and past the last.
        (google(worker=["w:2222"]), 2222),
        (google(chief=["a:9002"], worker=["a"]), 9000),
        (hosts(2), 65535),
    ],
)
def test_two_processes_at_one_address_are_refused(cluster, port):
    of = job("multi_worker_mirrored", cluster, port=port)
    with pytest.raises(UserError, match=f"--port {port}: .* choose another --port"):
        tasks.cluster_of(of, tasks.plan_processes(of, {"chief-0": 1, "worker-0": 1}))


def test_addresses_of_ipv6_keep_their_brackets():
    cluster = Cluster(chief=("[fd00::1]:2222",), worker=("fd00::2",))
    _, found = planned(job("horovod", cluster))
    assert (found.chief, found.worker) == (("[fd00::1]:2222",), ("[fd00::2]:7119",))


@pytest.mark.parametrize(
    ("platform", "single"), [("local", True), ("sagemaker", True), ("ai-platform", False)]
)
def test_one_host_is_found_by_others_only_where_the_platform_starts_evaluators(platform, single):
    job = Job(distribution="parameter_server", platform=platform)
    assert tasks.is_single_host(job) is single
