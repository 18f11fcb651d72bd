"""Decisions of a launcher that joins, on a clock that stands still."""

import pytest

from trainer.launch.rendezvous.joining import GiveUp, Joining, Retry, WaitProgress
from trainer.launch.rendezvous.responses import Joined, JoinRefused, PlaceTaken
from trainer.launch.rendezvous.signing import RefusedError
from trainer.launch.timeouts import Timeouts

TIMES = Timeouts(retry_pause=0.25, progress=10.0, silent_after=1.5)
REFUSED = ConnectionRefusedError(111, "Connection refused")
ALIVE = PlaceTaken(occupied="worker 0 lives", alive=True)
SILENT = PlaceTaken(occupied="worker 0 lives", alive=False)


@pytest.fixture
def joining():
    return Joining(chief="algo-1", port=7117, start_timeout=30.0, timeouts=TIMES, now=100.0)


@pytest.mark.parametrize(
    ("response", "step"),
    [
        (Joined(position=3), Joined(position=3)),
        (JoinRefused(refused="no"), GiveUp(reason="no", refused=True)),
        (ALIVE, Retry(pause=0.25)),
        (SILENT, Retry(pause=0.25)),
    ],
)
def test_a_first_response_decides(joining, response, step):
    assert joining.on_response(response, 100.0) == step


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (REFUSED, Retry(pause=0.25)),
        (ValueError("an answer is no object"), Retry(pause=0.25)),
        (RefusedError("another secret"), GiveUp(reason="another secret", refused=True)),
    ],
)
def test_a_first_error_decides(joining, error, step):
    assert joining.on_error(error, 100.0) == step


def test_a_coordinator_that_does_not_come_is_waited_for_with_a_line_now_and_then(joining):
    notes = {}
    for now in range(100, 130):
        step = joining.on_error(REFUSED, float(now))
        assert step.pause <= 0.25
        if step.note:
            notes[now] = step.note
    assert notes == {
        110: "waiting for the chief at algo-1:7117: 10 s, Connection refused",
        120: "waiting for the chief at algo-1:7117: 20 s, Connection refused",
    }
    assert joining.on_error(REFUSED, 129.9).pause == pytest.approx(0.1)
    assert joining.on_error(REFUSED, 130.0) == GiveUp(
        reason="cannot be reached at port 7117 within 30 s (--start-timeout): Connection refused",
        refused=False,
    )


def test_an_error_without_words_is_named_by_its_kind(joining):
    assert joining.on_error(TimeoutError(), 110.0).note.endswith("10 s, TimeoutError")


def test_a_place_whose_run_is_heard_of_for_long_enough_is_not_waited_for(joining):
    assert isinstance(joining.on_response(ALIVE, 100.0), Retry)
    assert isinstance(joining.on_response(ALIVE, 102.9), Retry)
    assert joining.on_response(ALIVE, 103.0) == GiveUp(reason="worker 0 lives", refused=True)


@pytest.mark.parametrize("between", [SILENT, REFUSED], ids=["silence", "error"])
def test_a_place_whose_run_is_not_heard_of_all_the_time_may_become_free(joining, between):
    joining.on_response(ALIVE, 100.0)
    if between is SILENT:
        joining.on_response(between, 102.0)
    else:
        joining.on_error(between, 102.0)
    assert isinstance(joining.on_response(ALIVE, 104.0), Retry)
    assert isinstance(joining.on_response(ALIVE, 107.0), GiveUp)


def test_a_place_that_stays_taken_is_a_refusal(joining):
    assert joining.on_response(SILENT, 130.0) == GiveUp(reason="worker 0 lives", refused=True)


def test_progress_is_due_once_in_a_while():
    progress = WaitProgress(every=10.0, now=5.0)
    assert [now for now in range(5, 40) if progress.is_due(float(now))] == [15, 25, 35]
    assert progress.seconds(35.0) == 30.0
