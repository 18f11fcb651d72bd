import socket

import pytest

from trainer.launch.rendezvous import connections
from trainer.launch.rendezvous.connections import Connections
from trainer.launch.rendezvous.origin import Origin
from trainer.launch.timeouts import DEFAULTS

MEMBER, STRANGER = "10.0.0.2", "10.9.9.9"


class Line(socket.socket):
    """A connection that says where it comes from."""

    def __init__(self, address):
        super().__init__()
        self.address = address
        self.cut = False

    def shutdown(self, how):
        self.cut = True


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def standing(monkeypatch, now):
    def of(line):
        return Origin(address=line.address, user=None, reached_at="10.0.0.1")

    monkeypatch.setattr(Origin, "of", of)
    return Connections(lambda origin: origin.address == MEMBER, clock=lambda: now[0])


def test_strangers_have_a_share_of_their_own(standing):
    limit = connections.MOST_OF_STRANGER
    lines = [Line(STRANGER) for _ in range(limit)]
    assert all(map(standing.accept, lines))
    assert not standing.accept(Line(STRANGER))
    assert standing.accept(Line("10.9.9.8"))
    members = [Line(MEMBER) for _ in range(limit * 3)]
    assert all(map(standing.accept, members))
    standing.end(lines[0])
    assert standing.accept(Line(STRANGER))
    # Of all addresses together, too.
    accepted = [standing.accept(Line(f"10.8.{i}.{j}")) for i in range(40) for j in range(10)]
    assert accepted.count(True) == connections._MOST_OF_STRANGERS - limit - 1
    assert standing.accept(Line(MEMBER))


def test_who_does_not_send_its_request_is_cut_off(standing, now):
    slow, quick, ended = Line(STRANGER), Line(STRANGER), Line(MEMBER)
    for each in (slow, quick, ended):
        standing.accept(each)
    standing.received(quick)
    standing.end(ended)
    now[0] += DEFAULTS.request_read - 0.5
    standing.close_overdue()
    assert not slow.cut
    now[0] += 0.5
    standing.close_overdue()
    assert (slow.cut, quick.cut, ended.cut) == (True, False, False)
