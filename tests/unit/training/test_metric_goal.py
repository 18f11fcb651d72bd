import math

import pytest

from trainer.config import UserError
from trainer.training.metric_goal import goal_of


@pytest.mark.parametrize(
    ("metric", "names", "text"),
    [
        (None, ("loss", "accuracy"), "accuracy:max"),
        (None, ("loss", "mean_absolute_error"), "loss:min"),
        ("rmse:min", ("loss", "rmse"), "rmse:min"),
        ("test_rmse:max", ("loss", "rmse"), "rmse:max"),
    ],
)
def test_a_run_is_judged_by_the_metric_asked_for_or_by_accuracy_or_loss(metric, names, text):
    assert goal_of(metric, names).text == text


def test_better_is_higher_or_lower_and_never_no_number():
    highest, lowest = goal_of("a:max", ["a"]), goal_of("a:min", ["a"])
    assert highest.is_better(2, 1)
    assert lowest.is_better(1, 2)
    assert not highest.is_better(1, 1)
    assert not lowest.is_better(math.nan, 1)
    assert not highest.is_better(math.nan, 1)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("rmse", "--metric rmse: expected NAME:max or NAME:min, as loss:min"),
        ("rmse:low", "--metric rmse:low: expected NAME:max or NAME:min, as loss:min"),
        ("rsme:min", "has no rsme, did you mean rmse?; expected one of loss, rmse"),
    ],
)
def test_another_metric_is_one_line(metric, expected):
    with pytest.raises(UserError) as error:
        goal_of(metric, ("loss", "rmse"))
    assert expected in str(error.value)
