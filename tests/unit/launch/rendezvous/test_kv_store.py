from http import HTTPStatus

import pytest

from trainer.config.cluster import Cluster
from trainer.config.job import Job
from trainer.distribution.horovod import rank_variables, store_places
from trainer.distribution.planned_process import RendezvousAddress
from trainer.launch import plan
from trainer.launch.rendezvous.kv_store import KeyValueStore

# Two hosts with two ranks and one, and the process set of all of them.
CLUSTER = Cluster(chief=("a",), worker=("b",))
JOB = Job(distribution="horovod", cluster=CLUSTER)
PLANNED = plan.plan_processes(JOB, {"chief-0": 2, "worker-0": 1})
PLACES = tuple(store_places(PLANNED))
ALL = "_process_set_hash_7d48533536350577"


def opened(**more):
    store = KeyValueStore(**{k: v for k, v in more.items() if k == "room"})
    store.open(PLACES, **{k: v for k, v in more.items() if k != "room"})
    return store


def connect(store, *sets):
    """Do what Horovod's ranks do."""
    for each in sets:
        for scope, rank in PLACES:
            assert store.put(f"/{scope}{each}/rank_{rank}", b"host") is HTTPStatus.OK
            assert store.put(f"/{scope}{each}/{rank}", b"address") is HTTPStatus.OK
        for scope, rank in PLACES:
            store.delete(f"/{scope}{each}/{rank}")


def test_the_places_are_those_of_horovods_own_variables():
    meeting = RendezvousAddress(ip="10.0.0.1", port=7117, interface=None)
    envs = [rank_variables(process, PLANNED, JOB, meeting) for process in PLANNED]
    assert sorted(PLACES) == sorted(
        place
        for env in envs
        for place in [
            ("global", int(env["HOROVOD_RANK"])),
            (f"local_{env['HOROVOD_HOSTNAME']}", int(env["HOROVOD_LOCAL_RANK"])),
            (f"cross_{env['HOROVOD_LOCAL_RANK']}", int(env["HOROVOD_CROSS_RANK"])),
        ]
    )
    assert len(PLACES) == 9


def test_it_takes_nothing_before_it_is_opened():
    store = KeyValueStore()
    assert store.put("/global/0", b"x") is HTTPStatus.FORBIDDEN
    assert store.get("/global/0") is None
    store.open(PLACES)
    assert store.put("/global/0", b"x") is HTTPStatus.OK


@pytest.mark.parametrize(
    "name",
    [
        *(
            "/global/3",
            "/global/rank_3",
            "/global/-1",
            "/global/00000000",
            "/global/0/",
            "/global/",
        ),
        *("/local_c/0", "/other/0", "global/0", "//0", "/global/\u0660", "/global/0\n", ""),
        f"/global{ALL}x/0",
        "/global" + "_process_set_hash_" + "0" * 17 + "/0",
    ],
)
def test_only_places_of_the_jobs_ranks_are_taken(name):
    store = opened()
    assert store.put(name, b"x") is HTTPStatus.FORBIDDEN
    store.delete(name)
    assert store.get(name) is None


def test_the_first_value_counts_and_may_be_sent_again():
    store = opened()
    assert store.put("/global/0", b"first") is HTTPStatus.OK
    assert store.put("/global/0", b"second") is HTTPStatus.CONFLICT
    assert store.put("/global/0", b"first") is HTTPStatus.OK
    assert store.get("/global/0") == b"first"
    # Nor is a place taken again by whoever comes when its rank is connected.
    store.delete("/global/0")
    assert store.put("/global/0", b"second") is HTTPStatus.CONFLICT
    assert store.get("/global/0") is None


def test_a_value_that_is_not_there_is_not_deleted():
    store = opened()
    store.delete("/global/0")
    assert store.put("/global/0", b"x") is HTTPStatus.OK
    store.put("/global/rank_0", b"host")
    store.delete("/global/rank_0")
    assert store.get("/global/rank_0") == b"host"


def test_it_closes_when_all_are_connected_in_both_rounds():
    store = opened()
    connect(store, "")
    assert not store.is_closed
    connect(store, ALL)
    assert store.is_closed
    for name in ("/global/0", "/global/rank_0", f"/global{ALL}/0", "/global_process_set_hash_1/0"):
        assert store.put(name, b"x") is HTTPStatus.FORBIDDEN


def test_process_sets_that_are_made_later_are_taken_where_a_script_makes_such():
    store = opened(late_sets=True)
    connect(store, "", ALL)
    assert store.put("/global/0", b"x") is HTTPStatus.FORBIDDEN
    connect(store, "_process_set_hash_1")


def test_there_is_an_end_to_what_is_kept():
    store = opened(room=100)
    assert store.put("/global/0", b"x" * 80) is HTTPStatus.OK
    assert store.put("/global/1", b"x" * 20) is HTTPStatus.INSUFFICIENT_STORAGE
    store.delete("/global/0")
    assert store.put("/global/1", b"x" * 80) is HTTPStatus.OK
    store = opened()
    found = [store.put(f"/global_process_set_hash_{i:x}/0", b"") for i in range(1000)]
    assert found.count(HTTPStatus.OK) == 65
    assert set(found[65:]) == {HTTPStatus.INSUFFICIENT_STORAGE}
