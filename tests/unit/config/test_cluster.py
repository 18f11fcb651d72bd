import dataclasses

import pytest

from trainer.config.cluster import Cluster

PAIR = Cluster(chief=("a:1",), worker=("b:1", "c:1"), ps=("d:1",), evaluator=("e:1",))


def seen_by(role, index):
    return dataclasses.replace(PAIR, role=role, index=index)


@pytest.mark.parametrize(
    ("role", "index", "rank"),
    [("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2), ("ps", 0, -1), ("evaluator", 0, -1)],
)
def test_ranks_count_the_chief_and_the_workers_only(role, index, rank):
    assert seen_by(role, index).rank == rank


def test_trainers_are_in_the_order_of_their_ranks():
    assert PAIR.trainers == ("a:1", "b:1", "c:1")


def test_only_the_chief_is_chief():
    roles = [("chief", 0), ("worker", 0), ("worker", 1), ("ps", 0), ("evaluator", 0)]
    assert [seen_by(*role).is_chief for role in roles] == [True, False, False, False, False]


def test_without_a_chief_the_first_worker_is():
    workers = Cluster(worker=("a:1", "b:1"), role="worker")
    assert workers.is_chief
    assert not dataclasses.replace(workers, index=1).is_chief


def test_size_counts_everybody_and_at_least_this_process():
    assert PAIR.size == 5
    assert Cluster().size == 1


def test_a_cluster_is_reported_in_one_line():
    assert str(seen_by("worker", 1)) == "worker 1 of (1 chief, 2 worker, 1 ps, 1 evaluator)"
    assert str(Cluster()) == "chief 0 of (one process)"


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (Cluster(), (0, 1)),
        (Cluster(chief=("a:1",), worker=("b:1", "c:1"), role="worker", index=1), (2, 3)),
        (Cluster(chief=("a:1",), worker=("a:2", "b:1", "b:2"), role="worker", index=2), (1, 2)),
        (Cluster(chief=("a:1",), ps=("b:1",), role="ps"), (0, 1)),
        # As launchers that share an address give them.
        (Cluster(chief=("a:1",), worker=("a:2",), host_index=1, hosts=2), (1, 2)),
        # As mpirun gives them, which tells no addresses.
        (
            Cluster(
                chief=("rank-0",),
                worker=("rank-1", "rank-2", "rank-3"),
                role="worker",
                index=1,
                local_rank=0,
                local_size=2,
            ),
            (1, 2),
        ),
    ],
)
def test_hosts_are_counted_by_their_addresses(cluster, expected):
    assert cluster.host == expected
