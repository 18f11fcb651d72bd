"""Connections that say nothing, between real sockets."""

import time
from contextlib import closing

import pytest

from trainer.launch.plan import Member
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.http_server import serving_coordinator
from trainer.launch.rendezvous.keepalive import Keepalive
from trainer.launch.rendezvous.requests import Sender
from trainer.launch.rendezvous.state import JobSpec
from trainer.launch.rendezvous.transport import over_http

CHIEF = Member(role="chief", index=0, address="algo-1")
WORKER = Member(role="worker", index=0, address="algo-2")
ME = Sender(WORKER.id, "1")


class Counting(Coordinator):
    """Shows how many keepalive connections of the worker stand."""

    @property
    def connections(self):
        return self._members[WORKER.id].connections


@pytest.fixture
def coordinator():
    return Counting(JobSpec(expected=(CHIEF, WORKER)))


def join(port):
    fields = {**ME.to_dict(), "host": "algo-2", "task": "worker 0", "processes": 1, "settings": {}}
    over_http("127.0.0.1", port, lambda *_: None)("join", fields, 5)


def wait_for(what, expected, seconds=10):
    until = time.monotonic() + seconds
    while what() != expected:
        assert time.monotonic() < until, f"{what()}, not {expected}"
        time.sleep(0.01)


def test_both_ends_see_that_the_other_is_there_and_that_it_goes(coordinator):
    with serving_coordinator(coordinator, host="127.0.0.1", port=0) as port:
        join(port)
        line = Keepalive("127.0.0.1", port, ME)
        wait_for(lambda: coordinator.connections, 1)
        assert line.is_open
        # Opened again, as after a fault of the network, before the first one is known to be gone.
        with closing(Keepalive("127.0.0.1", port, ME)) as other:
            wait_for(lambda: coordinator.connections, 2)
            line.close()
            assert not line.is_open
            wait_for(lambda: coordinator.connections, 1)
            assert other.is_open
        wait_for(lambda: coordinator.connections, 0)
        last = Keepalive("127.0.0.1", port, ME)
        wait_for(lambda: coordinator.connections, 1)
    wait_for(lambda: last.is_open, False)


def test_who_has_not_joined_gets_none(coordinator):
    with serving_coordinator(coordinator, host="127.0.0.1", port=0) as port:
        line = Keepalive("127.0.0.1", port, ME)
        wait_for(lambda: line.is_open, False)


def test_where_nobody_listens_it_is_down(coordinator):
    with serving_coordinator(coordinator, host="127.0.0.1", port=0) as port:
        pass
    line = Keepalive("127.0.0.1", port, ME)
    assert not line.is_open
    line.close()
