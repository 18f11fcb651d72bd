import pytest

from trainer.config import EarlyStop, Job, UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", EarlyStop(patience=1)),
        ("5:0.001", EarlyStop(patience=5, min_delta=0.001)),
        ("3:0", EarlyStop(patience=3)),
    ],
)
def test_patience_and_least_difference_are_read(text, expected):
    assert EarlyStop.of(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "x", "5:", "5:-1", "5:nan", "5:inf", "5:1:1", "1.5"]
)
def test_anything_else_is_a_mistake_of_the_job(text):
    with pytest.raises(UserError, match=r"--early-stop .*expected PATIENCE\[:MIN_DELTA\]"):
        Job(early_stop=text)
