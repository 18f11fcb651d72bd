import pytest

from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.root_cause import DOUBTFUL, SETTLE, SILENCE, RootCause
from trainer.launch.rendezvous.state import MemberState

CAUSE = Failure(host="algo-2", process="rank 1", code=1, reason="ValueError: x")
ECHO = Failure(host="algo-1", process="rank 0", code=201, reason="connection reset", echo=True)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def verdict(clock):
    return RootCause(clock)


def host(name, seen):
    return MemberState(run="1", name=name, task="worker 0", count=1, card={}, seen=seen)


def test_the_first_cause_counts_and_is_settled(verdict):
    assert verdict.unsettled == 0
    assert verdict.take(CAUSE)
    assert verdict.unsettled == 0
    assert not verdict.take(ECHO)
    assert verdict.cause == CAUSE


def test_an_echo_gives_way_for_a_while_and_to_no_other_echo(verdict, clock):
    assert verdict.take(ECHO)
    assert verdict.unsettled == SETTLE
    clock.now += SETTLE - 0.5
    assert not verdict.take(ECHO)
    assert verdict.unsettled == 0.5
    assert verdict.take(CAUSE)
    assert verdict.cause == CAUSE


def test_an_echo_stays_once_its_time_is_over(verdict, clock):
    verdict.take(ECHO)
    clock.now += SETTLE
    assert not verdict.take(CAUSE)
    assert verdict.cause == ECHO


def test_an_echo_is_of_who_fell_silent_first_and_keeps_its_code(verdict, clock):
    verdict.take(ECHO)
    hosts = [host("algo-2", 98.0), host("algo-3", 97.0), host("algo-4", 99.5)]
    verdict.blame_the_silent(hosts)
    assert verdict.cause == Failure(host="algo-3", process="worker 0", code=201, reason=SILENCE)


def test_who_may_only_get_no_processor_is_not_said_to_have_gone(verdict):
    verdict.take(ECHO)
    silent = host("algo-3", 97.0)
    silent.lines = 1
    verdict.blame_the_silent([silent])
    assert verdict.cause.host == "algo-3"
    assert verdict.cause.reason == DOUBTFUL


@pytest.mark.parametrize(("first", "seen"), [(ECHO, 99.0), (CAUSE, 0.0)], ids=["beats", "cause"])
def test_otherwise_nobody_is_blamed(verdict, first, seen):
    verdict.take(first)
    verdict.blame_the_silent([host("algo-3", seen)])
    assert verdict.cause == first
