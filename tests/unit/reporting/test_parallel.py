"""The axes of parallel coordinates."""

import pytest

from trainer.reporting import ParallelAxis


def test_a_range_by_magnitude_has_a_tick_at_each_power_of_ten():
    axis = ParallelAxis(name="rate", values=[0.002], low=0.001, high=1, log=True)
    assert axis.share(0.01) == pytest.approx(1 / 3)
    assert sorted(text for _, text in axis.ticks()) == ["0.001", "0.01", "0.1", "1"]


def test_ticks_that_would_cover_each_other_are_left_out():
    axis = ParallelAxis(name="rate", values=[0.002], low=0.0099, high=1, log=True)
    assert [text for _, text in axis.ticks()] == ["0.0099", "1", "0.1"]


def test_choices_are_places_with_their_names():
    axis = ParallelAxis(name="model", values=["fast"], choices=("cnn", "fast", "mlp"))
    assert axis.ticks() == [(0.0, "cnn"), (0.5, "fast"), (1.0, "mlp")]


def test_one_value_is_in_the_middle():
    axis = ParallelAxis(name="rate", values=[3.0, 3.0])
    assert axis.ticks() == [(0.5, "3")]
    assert axis.share(3.0) == 0.5
