"""The pace of progress lines, by a clock that moves as it is set."""

import dataclasses
import logging

import numpy as np
import pytest

from trainer.training import Progress, RunState
from trainer.training.controller import Controller
from trainer.training.progress_line import ProgressLine
from trainer.training.run_state import CallResult


class Steps:
    """An inner loop that takes `seconds` by a clock for each call of at most `longest` steps."""

    def __init__(self, seconds: float, *, longest: int = 100, stop_at: int | None = None) -> None:
        self.now = 0.0
        self._seconds, self._longest, self._stop_at = seconds, longest, stop_at

    def clock(self) -> float:
        return self.now

    def train(self, most: int, state: RunState) -> CallResult:
        count = min(most, self._longest)
        self.now += self._seconds
        stop = self._stop_at is not None and state.step + count >= self._stop_at
        return CallResult(
            losses=np.ones(count),
            scores=np.full(count, 0.75),
            seconds=0.5,
            input_seconds=0.1,
            cpu_seconds=0.1,
            stop_requested=stop,
        )


def lines(
    inner: Steps, caplog: pytest.LogCaptureFixture, *, steps: int, every: int | None = None
) -> list[str]:
    """The lines of a run of so many steps."""
    state = RunState(steps=steps, batch_size=8, log_every=every or 100, progress=Progress())
    line = ProgressLine(every, target_accuracy=None, epoch_steps=400, clock=inner.clock)
    with caplog.at_level(logging.INFO, logger="trainer"):
        Controller(inner, state, [line]).run()
    return [record.getMessage() for record in caplog.records]


def steps_of(found: list[str]) -> list[int]:
    return [int(line.partition(" ")[0].removeprefix("step=")) for line in found]


@pytest.fixture(autouse=True)
def passed_on(monkeypatch):
    monkeypatch.setattr(logging.getLogger("trainer"), "propagate", True)


def test_a_line_has_progress_loss_speed_epoch_and_the_time_that_is_left(caplog):
    first, last = lines(Steps(2.0), caplog, steps=200)
    speed, accuracy = "images_per_second=1600", "train_accuracy=0.7500"
    assert first == f"step=100 of=200 loss=1.0000 {speed} epoch=0.25 eta=0s {accuracy}"
    assert last == f"step=200 of=200 loss=1.0000 {speed} epoch=0.50 eta=0s {accuracy}"


def test_there_is_one_a_second_at_most_and_the_first_and_last_always(caplog):
    assert steps_of(lines(Steps(0.25), caplog, steps=1050)) == [100, 500, 900, 1050]


def test_a_short_run_has_its_last(caplog):
    assert steps_of(lines(Steps(0.25), caplog, steps=20)) == [20]


def test_slow_steps_have_one_in_thirty_seconds(caplog):
    assert steps_of(lines(Steps(10.0, longest=1), caplog, steps=7)) == [3, 6, 7]


def test_a_number_of_steps_is_kept_to_whatever_the_time(caplog):
    assert steps_of(lines(Steps(0.01), caplog, steps=25, every=10)) == [10, 20]
    caplog.clear()
    assert steps_of(lines(Steps(20.0, longest=2), caplog, steps=8, every=100)) == [4, 8]


def test_a_run_that_is_asked_to_stop_says_how_far_it_came(caplog):
    found = lines(Steps(0.1, longest=30, stop_at=60), caplog, steps=1000)
    assert steps_of(found[:1]) == [60]
    assert found[1:] == ["stopped at step=60 of=1000"]


class Ranks(Steps):
    """The same of two processes, the second of which needs twice the time."""

    def train(self, most: int, state: RunState) -> CallResult:
        result = super().train(most, state)
        return dataclasses.replace(result, rank_seconds=np.array([0.1, 0.2]))


def test_a_line_of_several_processes_ends_with_the_slowest_and_the_fastest(caplog):
    found = lines(Ranks(2.0), caplog, steps=200)
    assert [line.partition("train_accuracy=0.7500")[2] for line in found] == [
        " slowest_rank=1:2000 fastest_rank=0:4000"
    ] * 2
