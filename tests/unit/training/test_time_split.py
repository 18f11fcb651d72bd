"""The stopwatch of a run."""

import time

import pytest

from trainer.training.time_split import PHASES, TimeSplit


def test_every_second_since_the_beginning_is_in_one_phase():
    began = time.perf_counter() - 100
    split = TimeSplit(began)
    split.begin_steps()
    split.add("compute", 0.25)
    with split.measure("export"):
        pass
    found = split.as_json()
    assert tuple(found) == PHASES
    assert found["start_up"] >= 100 and found["compute"] == 0.25
    assert sum(found.values()) == pytest.approx(time.perf_counter() - began, abs=1)


def test_time_of_a_block_that_fails_counts_as_well():
    split = TimeSplit()
    with pytest.raises(ValueError), split.measure("evaluation"):
        raise ValueError
    assert split.as_json()["evaluation"] > 0
