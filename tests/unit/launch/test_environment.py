import json

import pytest

from trainer.config.cluster import Cluster
from trainer.config.job import Job
from trainer.distribution.planned_process import RendezvousAddress
from trainer.launch import environment as variables, plan as tasks

MEETING = RendezvousAddress(ip="10.0.0.1", port=7117, interface="eth0")


def hosts(count, role="chief", index=0):
    """As SageMaker lists them."""
    names = [f"algo-{i + 1}" for i in range(count)]
    return Cluster(chief=(*names[:1],), worker=(*names[1:],), role=role, index=index)


def job(distribution, cluster=None, **more):
    return Job(distribution=distribution, cluster=cluster or Cluster(), **more)


def environment(of, name, env=(), counts=None):
    plan = tasks.plan_processes(of, counts or {m.id: 2 for m in tasks.members(of)})
    (process,) = (p for p in plan if p.name == name)
    cluster = tasks.cluster_of(of, plan)
    return variables.environment(process, plan, of, cluster=cluster, meeting=MEETING, env=dict(env))


def test_horovod_needs_no_launcher_of_its_own():
    of = job("horovod", hosts(3))
    env = environment(of, "rank 4", counts={"chief-0": 2, "worker-0": 1, "worker-1": 3})
    assert {n: v for n, v in env.items() if n.startswith(("HOROVOD_", "NCCL_"))} == {
        "HOROVOD_HOSTNAME": "worker-1",
        "HOROVOD_RANK": "4",
        "HOROVOD_SIZE": "6",
        "HOROVOD_LOCAL_RANK": "1",
        "HOROVOD_LOCAL_SIZE": "3",
        # Of those hosts that have a second rank.
        "HOROVOD_CROSS_RANK": "1",
        "HOROVOD_CROSS_SIZE": "2",
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": "10.0.0.1",
        "HOROVOD_GLOO_RENDEZVOUS_PORT": "7117",
        "HOROVOD_GLOO_IFACE": "eth0",
        "HOROVOD_GLOO_TIMEOUT_SECONDS": "300",
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "1800",
        "HOROVOD_WAKE_ON_ENQUEUE": "1",
        "HOROVOD_CYCLE_TIME": "50",
        "NCCL_SOCKET_IFNAME": "=eth0",
    }


def test_the_users_own_settings_of_horovod_count_but_not_who_is_who():
    own = {
        "HOROVOD_GLOO_IFACE": "eth9",
        "NCCL_SOCKET_IFNAME": "eth8",
        "HOROVOD_FUSION_THRESHOLD": "1",
        "HOROVOD_GLOO_TIMEOUT_SECONDS": "7",
        "HOROVOD_RANK": "77",
    }
    env = environment(job("horovod", hosts(2)), "rank 1", own)
    assert {name: env[name] for name in own} == own | {"HOROVOD_RANK": "1"}


def test_horovods_flags_are_its_variables():
    of = job("horovod", timeline="/t.json", autotune=True, autotune_log="/a.csv")
    env = environment(of, "rank 0", {"HOROVOD_TIMELINE": "/other"})
    assert env["HOROVOD_TIMELINE"] == "/t.json"
    assert env["HOROVOD_AUTOTUNE"] == "1"
    assert env["HOROVOD_AUTOTUNE_LOG"] == "/a.csv"
    # Horovod does not tune a time that it is given.
    assert "HOROVOD_CYCLE_TIME" not in env
    assert "HOROVOD_TIMELINE" not in environment(job("horovod"), "rank 0")


def test_each_process_finds_its_place_among_all():
    env = environment(job("multi_worker_mirrored", hosts(2, "worker")), "rank 3", {"A": "b"})
    task = Cluster.from_json(env["TRAINER_TASK"])
    assert (task.role, task.index, task.rank, task.size) == ("worker", 2, 3, 4)
    assert (task.local_rank, task.local_size, task.interface) == (1, 2, "eth0")
    assert env["A"] == "b"


@pytest.mark.parametrize("how", ["horovod", "multi_worker_mirrored"])
def test_hosts_that_share_an_address_are_several(how):
    of = job(how, Cluster(chief=("localhost:1",), worker=("localhost:2",)))
    found = [environment(of, f"rank {i}")["TRAINER_TASK"] for i in range(4)]
    assert [Cluster.from_json(task).host for task in found] == [(0, 2), (0, 2), (1, 2), (1, 2)]


def test_a_worker_that_steps_by_itself_sees_one_gpu_and_what_does_not_compute_none():
    of = job("parameter_server", gpus=2)
    gpus = {"chief": "-1", "worker 0": "4", "worker 1": "6", "worker 2": "4", "ps 0": "-1"}
    for name, gpu in gpus.items():
        env = environment(of, name, {"CUDA_VISIBLE_DEVICES": "4, 6"}, {"chief-0": 3})
        assert env["CUDA_VISIBLE_DEVICES"] == gpu
        assert env["GRPC_FAIL_FAST"] == "use_caller"
    assert environment(of, "worker 1")["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in environment(job("parameter_server", gpus=1), "worker 0")


def test_processes_of_one_host_that_use_all_they_see_see_gpus_of_their_own():
    visible = {"CUDA_VISIBLE_DEVICES": "4,5,6,7,8"}
    of = job("multi_worker_mirrored", gpus=5)
    for rank, gpus in enumerate(["4,5", "6,7"]):
        assert environment(of, f"rank {rank}", visible)["CUDA_VISIBLE_DEVICES"] == gpus
    only = environment(of, "rank 0", visible, {"chief-0": 1})
    assert only["CUDA_VISIBLE_DEVICES"] == "4,5,6,7,8"
    assert "CUDA_VISIBLE_DEVICES" not in environment(job("multi_worker_mirrored"), "rank 1")


def test_nccl_takes_the_interface_to_the_others_whoever_calls_it():
    of = job("multi_worker_mirrored", hosts(2))
    assert environment(of, "rank 1")["NCCL_SOCKET_IFNAME"] == "=eth0"
    own = {"NCCL_SOCKET_IFNAME": "eth8"}
    assert environment(of, "rank 1", own)["NCCL_SOCKET_IFNAME"] == "eth8"


@pytest.mark.parametrize(
    ("text", "trial"),
    [
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "trial": "7"}}', "7"),
        ('{"cluster": {"worker": ["a:1"]}}', None),
        ("[]", None),
        ("no json", None),
    ],
)
def test_tensorflow_finds_no_hosts_in_the_platforms_variable(text, trial):
    env = environment(job("multi_worker_mirrored", hosts(2)), "rank 0", {"TF_CONFIG": text})
    config = json.loads(env["TF_CONFIG"])
    assert "cluster" not in config
    assert config.get("task", {}).get("trial") == trial
    assert "type" not in config.get("task", {})
