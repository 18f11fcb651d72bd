"""Connections that say nothing, between real sockets."""

import time
from contextlib import closing

import pytest

from trainer.launch.plan import Member
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.http_server import serving
from trainer.launch.rendezvous.keepalive import Keepalive
from trainer.launch.rendezvous.state import JobSpec
from trainer.launch.rendezvous.transport import over_http

CHIEF = Member(role="chief", index=0, address="algo-1")
WORKER = Member(role="worker", index=0, address="algo-2")
ME = {"member": WORKER.id, "run": "1"}


class Seen(Coordinator):
    """Takes note of how many lines there are."""

    lines = 0

    def _line(self, id, host, told):
        answer = super()._line(id, host, told)
        self.lines = host.lines
        return answer

    def line_broke(self, id, run):
        super().line_broke(id, run)
        self.lines = self._hosts[id].lines


@pytest.fixture
def roster():
    return Seen(JobSpec(spec={}, expected=(CHIEF, WORKER)))


def join(port):
    told = {**ME, "host": "algo-2", "task": "worker 0", "count": 1, "spec": {}}
    over_http("127.0.0.1", port, lambda *_: None)("join", told, 5)


def wait_for(what, expected, seconds=10):
    until = time.monotonic() + seconds
    while what() != expected:
        assert time.monotonic() < until, f"{what()}, not {expected}"
        time.sleep(0.01)


def test_both_ends_see_that_the_other_is_there_and_that_it_goes(roster):
    with serving(roster, host="127.0.0.1", port=0) as port:
        join(port)
        line = Keepalive("127.0.0.1", port, ME)
        wait_for(lambda: roster.lines, 1)
        assert line.up
        # Opened again, as after a fault of the network, before the first one is seen to be gone.
        with closing(Keepalive("127.0.0.1", port, ME)) as other:
            wait_for(lambda: roster.lines, 2)
            line.close()
            assert not line.up
            wait_for(lambda: roster.lines, 1)
            assert other.up
        wait_for(lambda: roster.lines, 0)
        last = Keepalive("127.0.0.1", port, ME)
        wait_for(lambda: roster.lines, 1)
    wait_for(lambda: last.up, False)


def test_who_has_not_joined_gets_none(roster):
    with serving(roster, host="127.0.0.1", port=0) as port:
        line = Keepalive("127.0.0.1", port, ME)
        wait_for(lambda: line.up, False)


def test_where_nobody_listens_it_is_down(roster):
    with serving(roster, host="127.0.0.1", port=0) as port:
        pass
    line = Keepalive("127.0.0.1", port, ME)
    assert not line.up
    line.close()
