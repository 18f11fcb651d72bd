import pytest

from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.root_cause import DOUBTFUL, SILENCE, RootCause
from trainer.launch.rendezvous.state import MemberState
from trainer.launch.timeouts import DEFAULTS

CAUSE = Failure(host="algo-2", process="rank 1", code=1, reason="ValueError: x")
SECONDARY = Failure(
    host="algo-1", process="rank 0", code=201, reason="connection reset", secondary=True
)
SETTLE = DEFAULTS.settle


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def root_cause(clock):
    return RootCause(clock)


def member(name, last_heartbeat):
    return MemberState(
        run="1", name=name, task="worker 0", processes=1, metadata={}, last_heartbeat=last_heartbeat
    )


def test_the_first_cause_counts_and_is_settled(root_cause):
    assert root_cause.unsettled == 0
    assert root_cause.offer(CAUSE)
    assert root_cause.unsettled == 0
    assert not root_cause.offer(SECONDARY)
    assert root_cause.failure == CAUSE


def test_a_secondary_failure_gives_way_for_a_while_and_to_no_other_of_its_kind(root_cause, clock):
    assert root_cause.offer(SECONDARY)
    assert root_cause.unsettled == SETTLE
    clock.now += SETTLE - 0.5
    assert not root_cause.offer(SECONDARY)
    assert root_cause.unsettled == 0.5
    assert root_cause.offer(CAUSE)
    assert root_cause.failure == CAUSE


def test_a_secondary_failure_stays_once_its_time_is_over(root_cause, clock):
    root_cause.offer(SECONDARY)
    clock.now += SETTLE
    assert not root_cause.offer(CAUSE)
    assert root_cause.failure == SECONDARY


def test_a_secondary_failure_is_of_who_fell_silent_first_and_keeps_its_code(root_cause, clock):
    root_cause.offer(SECONDARY)
    hosts = [member("algo-2", 98.0), member("algo-3", 97.0), member("algo-4", 99.5)]
    root_cause.blame_silent(hosts)
    assert root_cause.failure == Failure(
        host="algo-3", process="worker 0", code=201, reason=SILENCE
    )


def test_who_may_only_get_no_processor_is_not_said_to_have_gone(root_cause):
    root_cause.offer(SECONDARY)
    silent = member("algo-3", 97.0)
    silent.connections = 1
    root_cause.blame_silent([silent])
    assert root_cause.failure.host == "algo-3"
    assert root_cause.failure.reason == DOUBTFUL


@pytest.mark.parametrize(
    ("first", "last_heartbeat"), [(SECONDARY, 99.0), (CAUSE, 0.0)], ids=["heartbeats", "cause"]
)
def test_otherwise_nobody_is_blamed(root_cause, first, last_heartbeat):
    root_cause.offer(first)
    root_cause.blame_silent([member("algo-3", last_heartbeat)])
    assert root_cause.failure == first
