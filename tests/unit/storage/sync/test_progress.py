"""Lines that show how far a synchronisation is."""

from __future__ import annotations

import logging

import pytest

from trainer.storage.sync.place import Meter
from trainer.storage.sync.progress import PACE, SyncProgress


@pytest.fixture(autouse=True)
def _heard(monkeypatch):
    # Another test's log.begin() may have switched it off.
    monkeypatch.setattr(logging.getLogger("trainer"), "propagate", True)


def test_lines_come_at_a_pace_with_the_rate_of_the_last_seconds(caplog):
    meter, now = Meter(), 0.0
    progress = SyncProgress(meter, 4, 100_000_000, clock=lambda: now)
    with caplog.at_level(logging.INFO, logger="trainer"):
        progress.watch()
        assert caplog.messages == []
        meter.skip(20_000_000)
        for _ in range(2):
            now += PACE
            meter.count(10_000_000)
            progress.watch()
            progress.watch()
    assert caplog.messages == [
        "sync files=0 of=4 mb=30.0 of_mb=100.0 mb_per_second=2.0 eta=35s",
        "sync files=0 of=4 mb=40.0 of_mb=100.0 mb_per_second=2.0 eta=30s",
    ]


def test_where_nothing_moves_no_time_is_guessed(caplog):
    now = 0.0
    progress = SyncProgress(Meter(), 1, 10, clock=lambda: now)
    now = PACE
    with caplog.at_level(logging.INFO, logger="trainer"):
        progress.watch()
    (message,) = caplog.messages
    assert message.endswith(" mb_per_second=0.0")
