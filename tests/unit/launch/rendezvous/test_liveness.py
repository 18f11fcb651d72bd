"""How long a launcher waits for the coordinator, on a clock that stands still."""

import pytest

from trainer.launch.rendezvous.liveness import Liveness
from trainer.launch.rendezvous.root_cause import SILENCE, STUCK
from trainer.launch.timeouts import Timeouts

TIMES = Timeouts(
    lost_after=5.0, hung_after=60.0, heartbeat_hold=1.0, heartbeat_slack=1.0, retry_pause=0.25
)


@pytest.mark.parametrize(
    ("silent", "connected", "loss"),
    [
        (0.0, False, None),
        (4.9, False, None),
        (5.0, False, SILENCE),
        # Its host is there: its launcher may be starved of CPU.
        (5.0, True, None),
        (59.9, True, None),
        (60.0, True, STUCK),
        # Once the connection breaks, it has been silent for too long.
        (60.0, False, SILENCE),
    ],
)
def test_a_silent_coordinator_is_lost_after_a_time(silent, connected, loss):
    liveness = Liveness(TIMES, 100.0)
    assert liveness.loss(100.0 + silent, connected=connected) == loss


def test_a_response_begins_the_time_anew():
    liveness = Liveness(TIMES, 100.0)
    liveness.responded(104.0)
    assert liveness.loss(108.9, connected=False) is None
    assert liveness.loss(109.0, connected=False) == SILENCE


@pytest.mark.parametrize(
    ("silent", "connected", "timeout"),
    [
        (0.0, False, 2.0),
        (4.0, False, 1.0),
        (4.9, False, 0.25),
        (9.0, False, 0.25),
        (9.0, True, 2.0),
    ],
)
def test_a_heartbeat_waits_no_longer_than_until_the_coordinator_is_lost(silent, connected, timeout):
    liveness = Liveness(TIMES, 100.0)
    assert liveness.request_timeout(100.0 + silent, connected=connected) == pytest.approx(timeout)
